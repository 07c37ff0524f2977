// Update rules of optimizers that are compiled in: a loop that keeps all of a rule in registers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace torchish {

// n elements of the arrays of one parameter; the numbers of a rule are the same for all.
using RuleLoop = void (*)(int64_t n, const float* const* arrays, const float* numbers, float* const* results);

struct List {
  const int64_t* begin;
  size_t size;
};

// The loop of this list of instructions (see updates.cc); null where it is not compiled in.
RuleLoop loop_of_rule(int64_t arrays, int64_t numbers, List code, List outs);

}  // namespace torchish
