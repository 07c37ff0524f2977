// Products of row-major float matrices: oneDNN's, cut over the threads of XLA's pool.
#pragma once

#include <algorithm>
#include <cstdint>
#include <stdexcept>

#include "oneapi/dnnl/dnnl.h"
#include "parallel.h"

namespace torchish {

// c (m, n) = alpha times a (m, k) b (k, n); a turned operand lies as its transpose. `l*`: floats a
// row.
struct Gemm {
  int64_t m, n, k;
  bool turned_a, turned_b;
  int64_t la, lb, lc;
  bool adds = false;  // to what c holds
  float alpha = 1.0f;
};

// On the calling thread.
inline void multiply(const Gemm& g, const float* a, const float* b, float* c) {
  char ta = g.turned_a ? 'T' : 'N', tb = g.turned_b ? 'T' : 'N';
  if (dnnl_sgemm(ta, tb, g.m, g.n, g.k, g.alpha, a, g.la, b, g.lb, g.adds ? 1.0f : 0.0f, c, g.lc) != dnnl_success)
    throw std::runtime_error("oneDNN refused a matrix product");
}

// The rows `from` to `to` of the result, or its columns.
inline void multiply_piece(Gemm g, bool rows, int64_t from, int64_t to, const float* a, const float* b,
                           float* c) {
  if (from >= to) return;
  if (rows) {
    g.m = to - from;
    multiply(g, a + from * (g.turned_a ? 1 : g.la), b, c + from * g.lc);
  } else {
    g.n = to - from;
    multiply(g, a, b + from * (g.turned_b ? g.lb : 1), c + from);
  }
}

inline double products(const Gemm& g) { return static_cast<double>(g.m) * g.n * g.k; }

// What a product takes, in multiplications. One that reads each of its operands a few times only (a row
// times a matrix) takes as long as memory does: a core reads a float in the time of 16 multiplications.
inline double work(const Gemm& g) {
  double floats = static_cast<double>(g.m) * g.k + static_cast<double>(g.k) * g.n;
  return std::max(products(g), 16 * floats);
}

// In pieces of the longer side of the result, one a thread.
inline void multiply(xla::ffi::ThreadPool& pool, const Gemm& g, const float* a, const float* b, float* c,
                     bool awake = false) {
  bool rows = g.m >= g.n;
  int64_t length = rows ? g.m : g.n;
  int64_t parts = std::min(parts_for(pool, work(g)), (length + 15) / 16);
  for_pieces(
      pool, parts, length, 16,
      [&](int64_t from, int64_t to) { multiply_piece(g, rows, from, to, a, b, c); }, awake);
}

}  // namespace torchish
