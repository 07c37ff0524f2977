// The instructions of an optimizer's update: one definition for loops that interpret them and for
// those that have them compiled in.
#pragma once

#include <cmath>
#include <cstdint>

namespace torchish {

// In the order of `OPS` in torchish/_ops/rewrites/updates.py.
enum Op : int64_t { ADD, SUBTRACT, MULTIPLY, DIVIDE, MAXIMUM, MINIMUM, ROOT, NEGATE, ABSOLUTE, OPS };

template <int64_t op>
inline __attribute__((always_inline)) float apply(float a, float b) {
  static_assert(op >= 0 && op < OPS);
  if constexpr (op == ADD) return a + b;
  if constexpr (op == SUBTRACT) return a - b;
  if constexpr (op == MULTIPLY) return a * b;
  if constexpr (op == DIVIDE) return a / b;
  // As XLA's: a NaN on either side is the result.
  if constexpr (op == MAXIMUM) return (a > b || a != a) ? a : b;
  if constexpr (op == MINIMUM) return (a < b || a != a) ? a : b;
  if constexpr (op == ROOT) return std::sqrt(a);
  if constexpr (op == NEGATE) return -a;
  return std::fabs(a);
}

}  // namespace torchish
