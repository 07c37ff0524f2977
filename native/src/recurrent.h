// What recurrences have in common: pieces of the batch, and products with weights that are packed once
// a call.
//
// Rows of the batch do not meet in a recurrence, so a call is cut into pieces of the batch, one a thread
// of XLA's pool: each goes through all steps without waiting for another.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <tuple>

#include "oneapi/dnnl/dnnl.hpp"
#include "engine.h"
#include "handlers.h"
#include "parallel.h"
#include "xla/ffi/api/ffi.h"

namespace torchish {

using dnnl::memory;

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
inline const Product& product(int64_t rows, int64_t inner, int64_t columns, bool transposed, bool adds) {
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

// `gates`: products of (rows, size) and (size, size) a step.
inline int64_t pieces_of(const Shape& s, int64_t gates, int64_t threads) {
  // Below this many multiplications a second thread costs more than it brings.
  double work = static_cast<double>(gates) * s.steps * s.batch * s.size * s.size;
  return std::max<int64_t>(1, std::min({threads, s.batch, static_cast<int64_t>(work / 2e6)}));
}

template <typename Body>
xla::ffi::Error in_pieces(const char* what, xla::ffi::ThreadPool& pool, const Shape& s, int64_t gates, Body&& body) {
  return guarded(what, [&] { for_pieces(pool, pieces_of(s, gates, threads_of(pool)), s.batch, 1, body); });
}

using Floats = xla::ffi::Buffer<xla::ffi::F32>;

inline Shape shape_of(const Floats& states, int64_t reverse) {
  auto d = states.dimensions();
  return {d[0], d[1], d[2], reverse != 0};
}

}  // namespace torchish
