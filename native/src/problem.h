// What a convolution is: kind, shapes, strides; shared by the ways there are to compute one.
#pragma once

#include <cstdint>
#include <string>

#include "oneapi/dnnl/dnnl.hpp"

namespace torchish {

using dnnl::memory;
using dims = memory::dims;
using dtype = memory::data_type;

enum Kind : int64_t { FORWARD = 0, INPUT_GRAD = 1, WEIGHT_GRAD = 2 };

// What a convolution is, for the whole call or for a part; strides are those of the caller's arrays.
struct Problem {
  int64_t kind;
  dtype type;
  dims x, w, y;     // shapes; w without its dimension of groups
  dims xs, ws, ys;  // strides in elements
  dims stride, low, dilation;
  int64_t groups;

  std::string key() const {
    std::string text;
    auto add = [&](const void* from, size_t bytes) {
      text.append(static_cast<const char*>(from), bytes);
    };
    int64_t head[] = {kind, static_cast<int64_t>(type), static_cast<int64_t>(x.size()), groups};
    add(head, sizeof head);
    for (const dims* d : {&x, &w, &y, &xs, &ws, &ys, &stride, &low, &dilation})
      add(d->data(), d->size() * sizeof(int64_t));
    return text;
  }

};

inline double products(const Problem& q) {
  double count = static_cast<double>(q.y[0]) * q.y[1] * q.w[1];
  for (size_t d = 2; d < q.w.size(); ++d) count *= static_cast<double>(q.w[d]) * q.y[d];
  return count;
}

inline dims row_major(const dims& shape) {
  dims strides(shape.size(), 1);
  for (size_t d = shape.size() - 1; d > 0; --d) strides[d - 1] = strides[d] * shape[d];
  return strides;
}

inline dims channels_last(const dims& shape) {
  dims strides(shape.size(), 1);
  int64_t step = shape[1];
  for (size_t d = shape.size() - 1; d >= 2; --d) strides[d] = step, step *= shape[d];
  strides[0] = step;
  return strides;
}

inline int64_t elements(const dims& shape) {
  int64_t count = 1;
  for (int64_t n : shape) count *= n;
  return count;
}

// Positions of one image of the output.
inline int64_t positions(const Problem& q) { return elements(q.y) / (q.y[0] * q.y[1]); }

}  // namespace torchish
