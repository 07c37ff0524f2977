// The recurrence of a GRU and its gradient, as two XLA FFI handlers.
//
//   forward:  inputs (T, N, 3H), h (N, H), w (3H, H), b (3H)
//             -> outs (T, N, H), gates (T, N, 4H)
//   backward: gates, outs, h, w, and the gradients of outs and of the last h
//             -> those of inputs, of the hidden projections h w^T + b (T, N, 3H), and of h
//
// `inputs` are the projections of all steps with their bias, in the order r, z, n. Kept are the
// activated r, z, n and the hidden projection that r multiplies.
#include <cstdint>
#include <cstring>
#include <vector>

#include "functions.h"
#include "processor.h"
#include "recurrent.h"

namespace ffi = xla::ffi;

namespace torchish {
namespace {

// One row of one step: `hidden` (3H) is h w^T + b.
FOR_EACH_PROCESSOR void cell(int64_t size, const float* __restrict inputs, const float* __restrict hidden,
                             const float* __restrict before, float* __restrict gates,
                             float* __restrict h) {
  float *r = gates, *z = gates + size, *n = gates + 2 * size, *kept = gates + 3 * size;
  for (int64_t k = 0; k < 2 * size; ++k) gates[k] = sigmoid(inputs[k] + hidden[k]);
  for (int64_t k = 0; k < size; ++k) {
    kept[k] = hidden[2 * size + k];
    n[k] = tangent(inputs[2 * size + k] + r[k] * kept[k]);
    h[k] = n[k] + z[k] * (before[k] - n[k]);
  }
}

// One row of one step backwards: `dh` comes with this step's own gradient and leaves as the part of
// the state before that does not go through the weights.
FOR_EACH_PROCESSOR void cell_gradient(int64_t size, const float* __restrict gates,
                                      const float* __restrict before, float* __restrict dh,
                                      float* __restrict d_inputs, float* __restrict d_hidden) {
  const float *r = gates, *z = gates + size, *n = gates + 2 * size, *kept = gates + 3 * size;
  for (int64_t k = 0; k < size; ++k) {
    float d = dh[k], d_n = d * (1.0f - z[k]) * (1.0f - n[k] * n[k]);
    float d_r = d_n * kept[k] * r[k] * (1.0f - r[k]);
    float d_z = d * (before[k] - n[k]) * z[k] * (1.0f - z[k]);
    d_inputs[k] = d_hidden[k] = d_r;
    d_inputs[size + k] = d_hidden[size + k] = d_z;
    d_inputs[2 * size + k] = d_n;
    d_hidden[2 * size + k] = d_n * r[k];
    dh[k] = d * z[k];
  }
}

void forward(const Shape& s, int64_t from, int64_t to, const float* inputs, const float* h,
             const float* w, const float* b, float* outs, float* gates) {
  int64_t rows = to - from, size = s.size;
  Packed times(product(rows, size, 3 * size, true, true), w);
  std::vector<float> hidden(rows * 3 * size);
  const float* before = h + from * size;
  for (int64_t k = 0; k < s.steps; ++k) {
    int64_t row = s.at(k) * s.batch + from;
    for (int64_t r = 0; r < rows; ++r) std::memcpy(hidden.data() + r * 3 * size, b, 3 * size * sizeof(float));
    times(before, hidden.data());
    for (int64_t r = 0; r < rows; ++r)
      cell(size, inputs + (row + r) * 3 * size, hidden.data() + r * 3 * size, before + r * size,
           gates + (row + r) * 4 * size, outs + (row + r) * size);
    before = outs + row * size;
  }
}

void backward(const Shape& s, int64_t from, int64_t to, const float* gates, const float* outs,
              const float* h, const float* w, const float* d_outs, const float* d_h, float* d_inputs,
              float* d_hiddens, float* d_h0) {
  int64_t rows = to - from, size = s.size, count = rows * size;
  Packed times(product(rows, 3 * size, size, false, true), w);
  float* dh = d_h0 + from * size;
  std::memcpy(dh, d_h + from * size, count * sizeof(float));
  for (int64_t k = s.steps - 1; k >= 0; --k) {
    int64_t row = s.at(k) * s.batch + from;
    const float* before = k == 0 ? h + from * size : outs + (s.at(k - 1) * s.batch + from) * size;
    const float* own = d_outs + row * size;
    for (int64_t i = 0; i < count; ++i) dh[i] += own[i];
    for (int64_t r = 0; r < rows; ++r)
      cell_gradient(size, gates + (row + r) * 4 * size, before + r * size, dh + r * size,
                    d_inputs + (row + r) * 3 * size, d_hiddens + (row + r) * 3 * size);
    times(d_hiddens + row * 3 * size, dh);
  }
}

ffi::Error handle_forward(ffi::ThreadPool pool, Floats inputs, Floats h, Floats w, Floats b,
                          ffi::Result<Floats> outs, ffi::Result<Floats> gates, int64_t reverse) {
  Shape s = shape_of(*outs, reverse);
  return in_pieces("GRU", pool, s, 3, [&](int64_t from, int64_t to) {
    forward(s, from, to, inputs.typed_data(), h.typed_data(), w.typed_data(), b.typed_data(),
            outs->typed_data(), gates->typed_data());
  });
}

ffi::Error handle_backward(ffi::ThreadPool pool, Floats gates, Floats outs, Floats h, Floats w,
                           Floats d_outs, Floats d_h, ffi::Result<Floats> d_inputs,
                           ffi::Result<Floats> d_hiddens, ffi::Result<Floats> d_h0, int64_t reverse) {
  Shape s = shape_of(outs, reverse);
  return in_pieces("GRU", pool, s, 3, [&](int64_t from, int64_t to) {
    backward(s, from, to, gates.typed_data(), outs.typed_data(), h.typed_data(), w.typed_data(),
             d_outs.typed_data(), d_h.typed_data(), d_inputs->typed_data(), d_hiddens->typed_data(),
             d_h0->typed_data());
  });
}

}  // namespace
}  // namespace torchish

using torchish::Floats;

XLA_FFI_DEFINE_HANDLER_SYMBOL(torchish_gru, torchish::handle_forward,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Floats>()
                                  .Arg<Floats>()
                                  .Arg<Floats>()
                                  .Arg<Floats>()
                                  .Ret<Floats>()
                                  .Ret<Floats>()
                                  .Attr<int64_t>("reverse"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(torchish_gru_gradient, torchish::handle_backward,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Floats>()
                                  .Arg<Floats>()
                                  .Arg<Floats>()
                                  .Arg<Floats>()
                                  .Arg<Floats>()
                                  .Arg<Floats>()
                                  .Ret<Floats>()
                                  .Ret<Floats>()
                                  .Ret<Floats>()
                                  .Attr<int64_t>("reverse"));
