// Several elementwise results of the same operands in one pass over memory, as an XLA FFI handler.
//
// XLA's CPU backend writes a loop for each result: Adam's update reads its operands three times, on
// one thread. Here the operators of all results are a list of instructions that runs over pieces of
// the arrays that stay in a core's nearest cache.
//
//   arguments: `arrays` float arrays of one shape, then numbers (float, 0-d)
//   code: op, a, b for each instruction; registers are numbered: arguments first, then instructions
//   outs: the registers that are results
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "handlers.h"
#include "parallel.h"
#include "processor.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace torchish {
namespace {

constexpr int64_t PIECE = 256;  // floats: two dozen registers stay in the nearest cache
constexpr double COST_OF_ELEMENT = 12;  // in multiplications of a matrix product, an instruction

using Binary = void (*)(int64_t, const float*, const float*, float*);

#define INSTRUCTION(name, expression)                                                             \
  FOR_EACH_PROCESSOR void name##_vv(int64_t n, const float* __restrict pa, const float* __restrict pb, \
                                    float* __restrict out) {                                      \
    for (int64_t i = 0; i < n; ++i) {                                                             \
      float a = pa[i], b = pb[i];                                                                 \
      (void)b;                                                                                    \
      out[i] = expression;                                                                        \
    }                                                                                             \
  }                                                                                               \
  FOR_EACH_PROCESSOR void name##_vs(int64_t n, const float* __restrict pa, const float* __restrict pb, \
                                    float* __restrict out) {                                      \
    float b = *pb;                                                                                \
    (void)b;                                                                                      \
    for (int64_t i = 0; i < n; ++i) {                                                             \
      float a = pa[i];                                                                            \
      out[i] = expression;                                                                        \
    }                                                                                             \
  }                                                                                               \
  FOR_EACH_PROCESSOR void name##_sv(int64_t n, const float* __restrict pa, const float* __restrict pb, \
                                    float* __restrict out) {                                      \
    float a = *pa;                                                                                \
    for (int64_t i = 0; i < n; ++i) {                                                             \
      float b = pb[i];                                                                            \
      (void)b;                                                                                    \
      out[i] = expression;                                                                        \
    }                                                                                             \
  }

INSTRUCTION(add, a + b)
INSTRUCTION(subtract, a - b)
INSTRUCTION(multiply, (a * b))
INSTRUCTION(divide, a / b)
// As XLA's: a NaN on either side is the result.
INSTRUCTION(maximum, (a > b || a != a) ? a : b)
INSTRUCTION(minimum, (a < b || a != a) ? a : b)
INSTRUCTION(root, std::sqrt(a))
INSTRUCTION(negate, -a)
INSTRUCTION(absolute, std::fabs(a))

struct Forms {
  Binary vv, vs, sv;
};

// In the order of `OPS` in torchish/_ops/rewrites/loops.py.
const Forms FORMS[] = {
    {add_vv, add_vs, add_sv},          {subtract_vv, subtract_vs, subtract_sv},
    {multiply_vv, multiply_vs, multiply_sv}, {divide_vv, divide_vs, divide_sv},
    {maximum_vv, maximum_vs, maximum_sv}, {minimum_vv, minimum_vs, minimum_sv},
    {root_vv, root_vs, root_sv},       {negate_vv, negate_vs, negate_sv},
    {absolute_vv, absolute_vs, absolute_sv},
};
constexpr int64_t KINDS = sizeof FORMS / sizeof FORMS[0];

struct Instruction {
  Binary run;
  int64_t a, b, out;  // slots
};

// Where a register's piece lies: an array that moves along, a number, or scratch that stays.
struct Slot {
  float* base = nullptr;
  bool moves = false;
};

struct Plan {
  std::vector<Slot> slots;
  std::vector<Instruction> code;
  int64_t elements = 0;
  std::vector<int64_t> scratch_slots;
};

std::string plan_for(ffi::RemainingArgs& args, ffi::RemainingRets& rets, int64_t arrays,
                     ffi::Span<const int64_t> code, ffi::Span<const int64_t> outs, Plan& plan) {
  int64_t given = args.size(), registers = given + code.size() / 3;
  if (arrays < 1 || arrays > given || code.size() % 3 || outs.size() != rets.size()) return "malformed";
  plan.slots.resize(registers);
  for (int64_t i = 0; i < given; ++i) {
    auto x = args.get<ffi::AnyBuffer>(i);
    if (!x.has_value() || x->element_type() != ffi::F32) return "floats are needed";
    int64_t count = x->element_count();
    if (i == 0) plan.elements = count;
    if (count != (i < arrays ? plan.elements : 1)) return "shapes differ";
    plan.slots[i] = {static_cast<float*>(x->untyped_data()), i < arrays};
  }
  for (size_t k = 0; k < outs.size(); ++k) {
    auto y = rets.get<ffi::AnyBuffer>(k);
    if (!y.has_value() || (*y)->element_type() != ffi::F32 ||
        static_cast<int64_t>((*y)->element_count()) != plan.elements)
      return "shapes differ";
    if (outs[k] < given || outs[k] >= registers || plan.slots[outs[k]].base) return "malformed";
    plan.slots[outs[k]] = {static_cast<float*>((*y)->untyped_data()), true};
  }
  for (int64_t i = given; i < registers; ++i) {
    const int64_t* at = code.begin() + 3 * (i - given);
    int64_t op = at[0], a = at[1], b = at[2];
    if (op < 0 || op >= KINDS || a < 0 || a >= i || b < 0 || b >= i) return "malformed";
    auto is_number = [&](int64_t r) { return r >= arrays && r < given; };
    if (is_number(a) && is_number(b)) return "malformed";
    Binary run = is_number(b) ? FORMS[op].vs : is_number(a) ? FORMS[op].sv : FORMS[op].vv;
    plan.code.push_back({run, a, b, i});
    if (!plan.slots[i].base) plan.scratch_slots.push_back(i);
  }
  return "";
}

void run(const Plan& plan, int64_t from, int64_t to) {
  std::vector<float> scratch(plan.scratch_slots.size() * PIECE);
  std::vector<Slot> slots = plan.slots;
  for (size_t k = 0; k < plan.scratch_slots.size(); ++k)
    slots[plan.scratch_slots[k]].base = scratch.data() + k * PIECE;
  for (int64_t at = from; at < to; at += PIECE) {
    int64_t n = std::min(PIECE, to - at);
    auto place = [&](int64_t r) { return slots[r].base + (slots[r].moves ? at : 0); };
    for (const Instruction& i : plan.code) i.run(n, place(i.a), place(i.b), place(i.out));
  }
}

ffi::Error handle(ffi::ThreadPool pool, ffi::RemainingArgs args, ffi::RemainingRets rets, int64_t arrays,
                  ffi::Span<const int64_t> code, ffi::Span<const int64_t> outs, int64_t awake) {
  return guarded("loops", [&] {
    Plan plan;
    std::string wrong = plan_for(args, rets, arrays, code, outs, plan);
    if (!wrong.empty()) throw std::invalid_argument(wrong);
    double cost = COST_OF_ELEMENT * plan.elements * plan.code.size();
    int64_t parts = std::min(parts_for(pool, cost, 4), (plan.elements + PIECE - 1) / PIECE);
    auto some = [&](int64_t from, int64_t to) { run(plan, from, to); };
    for_pieces(pool, parts, plan.elements, PIECE, some, awake != 0);
  });
}

}  // namespace
}  // namespace torchish

XLA_FFI_DEFINE_HANDLER_SYMBOL(torchish_loops, torchish::handle,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .RemainingArgs()
                                  .RemainingRets()
                                  .Attr<int64_t>("arrays")
                                  .Attr<ffi::Span<const int64_t>>("code")
                                  .Attr<ffi::Span<const int64_t>>("outs")
                                  .Attr<int64_t>("awake"));
