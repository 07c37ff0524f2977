// The recurrence of an LSTM and its gradient, as two XLA FFI handlers.
//
//   forward:  inputs (T, N, 4H), h (N, H), c (N, H), w (4H, H)
//             -> outs (T, N, H), cells (T, N, H), gates (T, N, 4H)
//   backward: gates, cells, c, w, and the gradients of outs, of the last h and of the last c
//             -> those of inputs, h and c
//
// `inputs` are the projections of all steps with both biases, gates lie in the order i, f, g, o and
// are kept activated. Rows of the batch do not meet in a recurrence, so a call is cut into pieces of
// the batch, one a thread of XLA's pool: each goes through all steps without waiting for another.
// The products of a step are oneDNN's, with weights that are packed once a call.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "oneapi/dnnl/dnnl.hpp"
#include "engine.h"
#include "functions.h"
#include "handlers.h"
#include "parallel.h"
#include "processor.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;
using dnnl::memory;

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

// out (rows, columns) = a (rows, inner) times weights (inner, columns), added to `out` if `adds`.
struct Product {
  memory::desc a, w_user, w, out, scratch;
  dnnl::matmul run;
  dnnl::reorder pack;

  Product(int64_t rows, int64_t inner, int64_t columns, bool transposed, bool adds) {
    auto type = memory::data_type::f32;
    a = memory::desc({rows, inner}, type, memory::dims{inner, 1});
    out = memory::desc({rows, columns}, type, memory::dims{columns, 1});
    w_user = memory::desc({inner, columns}, type,
                          transposed ? memory::dims{1, inner} : memory::dims{columns, 1});
    memory::desc any({inner, columns}, type, memory::format_tag::any);
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    if (adds) {
      dnnl::post_ops ops;
      ops.append_sum(1.0f);
      attr.set_post_ops(ops);
    }
    dnnl::matmul::primitive_desc pd(engine(), a, any, out, attr);
    run = dnnl::matmul(pd);
    w = pd.weights_desc();
    scratch = pd.scratchpad_desc();
    pack = dnnl::reorder({engine(), w_user, engine(), w});
  }
};

// A thread keeps the products that it has made: their number is that of the shapes it meets.
const Product& product(int64_t rows, int64_t inner, int64_t columns, bool transposed, bool adds) {
  static thread_local std::map<std::tuple<int64_t, int64_t, int64_t, bool, bool>, Product> known;
  auto key = std::make_tuple(rows, inner, columns, transposed, adds);
  auto found = known.find(key);
  if (found == known.end()) {
    if (known.size() >= 64) known.clear();
    found = known.emplace(key, Product(rows, inner, columns, transposed, adds)).first;
  }
  return found->second;
}

// A product whose weights are packed: what one piece of a call uses at every step.
class Packed {
 public:
  Packed(const Product& p, const float* weights)
      : product_(p),
        stream_(engine()),
        w_(p.w, engine()),
        scratch_(p.scratch, engine()),
        a_(p.a, engine(), nullptr),
        out_(p.out, engine(), nullptr) {
    memory user(p.w_user, engine(), const_cast<float*>(weights));
    p.pack.execute(stream_, user, w_);
    stream_.wait();
  }

  void operator()(const float* a, float* out) {
    a_.set_data_handle(const_cast<float*>(a));
    out_.set_data_handle(out);
    product_.run.execute(stream_, {{DNNL_ARG_SRC, a_},
                                   {DNNL_ARG_WEIGHTS, w_},
                                   {DNNL_ARG_DST, out_},
                                   {DNNL_ARG_SCRATCHPAD, scratch_}});
    stream_.wait();
  }

 private:
  const Product& product_;
  dnnl::stream stream_;
  memory w_, scratch_, a_, out_;
};

struct Shape {
  int64_t steps, batch, size;
  bool reverse;
  // Step number `k` of the recurrence.
  int64_t at(int64_t k) const { return reverse ? steps - 1 - k : k; }
};

int64_t pieces_of(const Shape& s, int64_t threads) {
  // Below this many multiplications a second thread costs more than it brings.
  double work = 4.0 * s.steps * s.batch * s.size * s.size;
  return std::max<int64_t>(1, std::min({threads, s.batch, static_cast<int64_t>(work / 2e6)}));
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

template <typename Body>
ffi::Error in_pieces(ffi::ThreadPool& pool, const Shape& s, Body&& body) {
  return guarded("LSTM", [&] { for_pieces(pool, pieces_of(s, threads_of(pool)), s.batch, 1, body); });
}

using Floats = ffi::Buffer<ffi::F32>;

Shape shape_of(const Floats& states, int64_t reverse) {
  auto d = states.dimensions();
  return {d[0], d[1], d[2], reverse != 0};
}

ffi::Error handle_forward(ffi::ThreadPool pool, Floats inputs, Floats h, Floats c, Floats w,
                          ffi::Result<Floats> outs, ffi::Result<Floats> cells, ffi::Result<Floats> gates,
                          int64_t reverse) {
  Shape s = shape_of(*outs, reverse);
  return in_pieces(pool, s, [&](int64_t from, int64_t to) {
    forward(s, from, to, inputs.typed_data(), h.typed_data(), c.typed_data(), w.typed_data(),
            outs->typed_data(), cells->typed_data(), gates->typed_data());
  });
}

ffi::Error handle_backward(ffi::ThreadPool pool, Floats gates, Floats cells, Floats c, Floats w,
                           Floats d_outs, Floats d_h, Floats d_c, ffi::Result<Floats> d_inputs,
                           ffi::Result<Floats> d_h0, ffi::Result<Floats> d_c0, int64_t reverse) {
  Shape s = shape_of(cells, reverse);
  return in_pieces(pool, s, [&](int64_t from, int64_t to) {
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
