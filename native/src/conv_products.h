// Convolutions that are computed as plain matrix products.
#pragma once

#include "problem.h"
#include "xla/ffi/api/ffi.h"

namespace torchish {

// Whether a convolution is one of those that `convolve_as_product` computes sooner than oneDNN.
bool is_product(const Problem& q);

void convolve_as_product(xla::ffi::ThreadPool& pool, const Problem& q, float* x, float* w, float* y);

}  // namespace torchish
