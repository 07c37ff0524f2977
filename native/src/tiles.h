// Small products that know where their factors are zero, for processors with AVX-512.
//
//   c (rows, 16 vectors) = alpha a (rows, inner) b (inner, 16 vectors), added to c if `adds`
//
// oneDNN's products of 64 rows run at two thirds of such a processor's speed and know no triangles:
// half of what causal attention multiplies is zero. `a` may lie in any way, rows of `b` and `c` are
// contiguous.
#pragma once

#include <algorithm>
#include <cstdint>

#include "processor.h"

namespace torchish {

// Sixteen floats that lie anywhere: two or four registers where a processor's are shorter.
constexpr int64_t LANES = 16;
typedef float Vector __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));
typedef int32_t Numbers __attribute__((vector_size(LANES * sizeof(int32_t))));

#define VECTOR(x) (*reinterpret_cast<const Vector*>(x))

// What of a product is needed, where row r of the triangle has `start` + r + 1 columns: all; a's
// columns in the triangle; the rows of a's transpose that are; c's columns in the triangle.
enum class Part { ALL, INNER, TURNED, COLUMNS };

struct Tiled {
  int64_t rows, vectors, inner;
  const float* a;
  int64_t a_row, a_inner;
  const float* b;
  int64_t lb;
  float* c;
  int64_t lc;
  float alpha = 1.0f;
  bool adds = false;
  Part part = Part::ALL;
  int64_t start = 0;
};

#if defined(__x86_64__)
#define WIDE __attribute__((target("avx512f,fma,prefer-vector-width=512")))

inline bool has_tiles() {
  static const bool found = __builtin_cpu_supports("avx512f");
  return found;
}

template <int R, int C>
WIDE inline void tile(const Tiled& t, int64_t row, int64_t vector, int64_t from, int64_t to) {
  Vector sums[R][C] = {};
  const float* a = t.a + row * t.a_row;
  const float* b = t.b + vector * LANES;
  for (int64_t k = from; k < to; ++k) {
    Vector factors[C];
#pragma GCC unroll 2
    for (int c = 0; c < C; ++c) factors[c] = VECTOR(b + k * t.lb + c * LANES);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      float by = a[r * t.a_row + k * t.a_inner];
#pragma GCC unroll 2
      for (int c = 0; c < C; ++c) sums[r][c] += by * factors[c];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int c = 0; c < C; ++c) {
      Vector& out = *reinterpret_cast<Vector*>(t.c + (row + r) * t.lc + (vector + c) * LANES);
      Vector made = sums[r][c] * t.alpha;
      out = t.adds ? out + made : made;
    }
}

template <int R>
WIDE inline void tiles(const Tiled& t, int64_t row) {
  int64_t seen = t.start + row + R, vectors = t.vectors, from = 0, to = t.inner;
  if (t.part == Part::INNER) to = std::min(to, seen);
  if (t.part == Part::TURNED) from = std::clamp<int64_t>(row - t.start, 0, to);
  if (t.part == Part::COLUMNS) vectors = std::min(vectors, (seen + LANES - 1) / LANES);
  int64_t v = 0;
  for (; v + 2 <= vectors; v += 2) tile<R, 2>(t, row, v, from, to);
  if (v < vectors) tile<R, 1>(t, row, v, from, to);
}

WIDE inline void multiply(const Tiled& t) {
  int64_t r = 0;
  for (; r + 8 <= t.rows; r += 8) tiles<8>(t, r);
  for (; r < t.rows; ++r) tiles<1>(t, r);
}

// to (columns, rows) = from (rows, columns), in squares; rows of `to` are filled up with zeros.
WIDE inline void transpose(int64_t rows, int64_t columns, const float* from, int64_t step, float* to,
                           int64_t width) {
  for (int64_t i = 0; i < width; i += LANES)
    for (int64_t j = 0; j < columns; j += LANES) {
      Vector v[LANES];
#pragma GCC unroll 16
      for (int64_t l = 0; l < LANES; ++l) v[l] = i + l < rows ? VECTOR(from + (i + l) * step + j) : Vector{};
#pragma GCC unroll 4
      for (int s = 1; s < LANES; s *= 2) {
        Numbers low, high;
#pragma GCC unroll 16
        for (int l = 0; l < LANES; ++l) {
          low[l] = l & s ? l - s + LANES : l;
          high[l] = l & s ? l + LANES : l + s;
        }
#pragma GCC unroll 16
        for (int l = 0; l < LANES; ++l)
          if (!(l & s)) {
            Vector a = v[l], b = v[l + s];
            v[l] = __builtin_shuffle(a, b, low);
            v[l + s] = __builtin_shuffle(a, b, high);
          }
      }
#pragma GCC unroll 16
      for (int64_t l = 0; l < LANES; ++l) *reinterpret_cast<Vector*>(to + (j + l) * width + i) = v[l];
    }
}
#else
inline bool has_tiles() { return false; }
inline void multiply(const Tiled&) {}
inline void transpose(int64_t, int64_t, const float*, int64_t, float*, int64_t) {}
#endif

}  // namespace torchish
