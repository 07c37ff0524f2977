// The recurrence of an LSTM and its gradient, as two XLA FFI handlers.
//
//   forward:  inputs (T, N, 4H), h (N, H), c (N, H), w (4H, H)
//             -> outs (T, N, H), cells (T, N, H), gates (T, N, 4H)
//   backward: gates, cells, c, w, and the gradients of outs, of the last h and of the last c
//             -> those of inputs, h and c
//
// `inputs` are the projections of all steps with both biases, gates lie in the order i, f, g, o and
// are kept activated.
#include <cstdint>
#include <cstring>
#include <vector>

#include "functions.h"
#include "processor.h"
#include "recurrent.h"

namespace ffi = xla::ffi;

namespace torchish {
namespace {

// One row of one step: the gates are activated where they lie.
FOR_EACH_PROCESSOR void cell(int64_t size, float* __restrict gates, const float* __restrict before,
                             float* __restrict c, float* __restrict h) {
  float *i = gates, *f = gates + size, *g = gates + 2 * size, *o = gates + 3 * size;
  for (int64_t k = 0; k < 2 * size; ++k) gates[k] = sigmoid(gates[k]);
  for (int64_t k = 0; k < size; ++k) g[k] = tangent(g[k]);
  for (int64_t k = 0; k < size; ++k) o[k] = sigmoid(o[k]);
  for (int64_t k = 0; k < size; ++k) {
    c[k] = f[k] * before[k] + i[k] * g[k];
    h[k] = o[k] * tangent(c[k]);
  }
}

// One row of one step backwards: `dh` comes with this step's own gradient, `dc` becomes that of the
// state before.
FOR_EACH_PROCESSOR void cell_gradient(int64_t size, const float* __restrict gates,
                                      const float* __restrict before, const float* __restrict c,
                                      const float* __restrict dh, float* __restrict dc,
                                      float* __restrict out) {
  const float *i = gates, *f = gates + size, *g = gates + 2 * size, *o = gates + 3 * size;
  float *di = out, *df = out + size, *dg = out + 2 * size, *d_o = out + 3 * size;
  for (int64_t k = 0; k < size; ++k) {
    float t = tangent(c[k]);
    float d = dc[k] + dh[k] * o[k] * (1.0f - t * t);
    di[k] = d * g[k] * i[k] * (1.0f - i[k]);
    df[k] = d * before[k] * f[k] * (1.0f - f[k]);
    dg[k] = d * i[k] * (1.0f - g[k] * g[k]);
    d_o[k] = dh[k] * t * o[k] * (1.0f - o[k]);
    dc[k] = d * f[k];
  }
}

void forward(const Shape& s, int64_t from, int64_t to, const float* inputs, const float* h, const float* c,
             const float* w, float* outs, float* cells, float* gates) {
  int64_t rows = to - from, size = s.size;
  Packed times(product(rows, size, 4 * size, true, true), w);
  const float *h_before = h + from * size, *c_before = c + from * size;
  for (int64_t k = 0; k < s.steps; ++k) {
    int64_t row = s.at(k) * s.batch + from;
    float* own = gates + row * 4 * size;
    std::memcpy(own, inputs + row * 4 * size, rows * 4 * size * sizeof(float));
    times(h_before, own);
    for (int64_t r = 0; r < rows; ++r)
      cell(size, own + r * 4 * size, c_before + r * size, cells + (row + r) * size, outs + (row + r) * size);
    h_before = outs + row * size, c_before = cells + row * size;
  }
}

void backward(const Shape& s, int64_t from, int64_t to, const float* gates, const float* cells,
              const float* c, const float* w, const float* d_outs, const float* d_h, const float* d_c,
              float* d_inputs, float* d_h0, float* d_c0) {
  int64_t rows = to - from, size = s.size, count = rows * size;
  Packed times(product(rows, 4 * size, size, false, false), w);
  std::vector<float> dh(d_h + from * size, d_h + to * size);
  float* dc = d_c0 + from * size;
  std::memcpy(dc, d_c + from * size, count * sizeof(float));
  for (int64_t k = s.steps - 1; k >= 0; --k) {
    int64_t row = s.at(k) * s.batch + from;
    const float* before = k == 0 ? c + from * size : cells + (s.at(k - 1) * s.batch + from) * size;
    const float* own = d_outs + row * size;
    for (int64_t i = 0; i < count; ++i) dh[i] += own[i];
    for (int64_t r = 0; r < rows; ++r)
      cell_gradient(size, gates + (row + r) * 4 * size, before + r * size, cells + (row + r) * size,
                    dh.data() + r * size, dc + r * size, d_inputs + (row + r) * 4 * size);
    times(d_inputs + row * 4 * size, k == 0 ? d_h0 + from * size : dh.data());
  }
}

ffi::Error handle_forward(ffi::ThreadPool pool, Floats inputs, Floats h, Floats c, Floats w,
                          ffi::Result<Floats> outs, ffi::Result<Floats> cells, ffi::Result<Floats> gates,
                          int64_t reverse) {
  Shape s = shape_of(*outs, reverse);
  return in_pieces("LSTM", pool, s, 4, [&](int64_t from, int64_t to) {
    forward(s, from, to, inputs.typed_data(), h.typed_data(), c.typed_data(), w.typed_data(),
            outs->typed_data(), cells->typed_data(), gates->typed_data());
  });
}

ffi::Error handle_backward(ffi::ThreadPool pool, Floats gates, Floats cells, Floats c, Floats w,
                           Floats d_outs, Floats d_h, Floats d_c, ffi::Result<Floats> d_inputs,
                           ffi::Result<Floats> d_h0, ffi::Result<Floats> d_c0, int64_t reverse) {
  Shape s = shape_of(cells, reverse);
  return in_pieces("LSTM", pool, s, 4, [&](int64_t from, int64_t to) {
    backward(s, from, to, gates.typed_data(), cells.typed_data(), c.typed_data(), w.typed_data(),
             d_outs.typed_data(), d_h.typed_data(), d_c.typed_data(), d_inputs->typed_data(),
             d_h0->typed_data(), d_c0->typed_data());
  });
}

}  // namespace
}  // namespace torchish

using torchish::Floats;

XLA_FFI_DEFINE_HANDLER_SYMBOL(torchish_lstm, torchish::handle_forward,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Floats>()
                                  .Arg<Floats>()
                                  .Arg<Floats>()
                                  .Arg<Floats>()
                                  .Ret<Floats>()
                                  .Ret<Floats>()
                                  .Ret<Floats>()
                                  .Attr<int64_t>("reverse"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(torchish_lstm_gradient, torchish::handle_backward,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Floats>()
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
