// Several elementwise results of the same operands in one pass over memory, as an XLA FFI handler.
//
// XLA's CPU backend writes a loop for each result: Adam's update reads its operands three times, on
// one thread. Here the operators of all results are a list of instructions, which is compiled in
// (rules.h) or runs over pieces of the arrays that stay in a core's nearest cache.
//
//   arguments: for each of `copies` (parameters that the same list updates) `arrays` float arrays of
//              one shape, then numbers (float, 0-d) for all
//   code: op, a, b for each instruction; registers are numbered: the arrays of a copy first, then
//         the numbers, then the instructions
//   outs: the registers that are results, for each copy
#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "handlers.h"
#include "instructions.h"
#include "parallel.h"
#include "processor.h"
#include "rules.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace torchish {
namespace {

constexpr int64_t PIECE = 256;  // floats: two dozen registers stay in the nearest cache
// Of an instruction for an element, in multiplications of a matrix product: interpreted, compiled in.
constexpr double COST = 12, COST_OF_RULE = 5;

using Binary = void (*)(int64_t, const float*, const float*, float*);

#define INSTRUCTION(name, op)                                                                          \
  FOR_EACH_PROCESSOR void name##_vv(int64_t n, const float* __restrict a, const float* __restrict b,  \
                                    float* __restrict out) {                                           \
    for (int64_t i = 0; i < n; ++i) out[i] = apply<op>(a[i], b[i]);                                    \
  }                                                                                                    \
  FOR_EACH_PROCESSOR void name##_vs(int64_t n, const float* __restrict a, const float* __restrict pb, \
                                    float* __restrict out) {                                           \
    float b = *pb;                                                                                     \
    for (int64_t i = 0; i < n; ++i) out[i] = apply<op>(a[i], b);                                       \
  }                                                                                                    \
  FOR_EACH_PROCESSOR void name##_sv(int64_t n, const float* __restrict pa, const float* __restrict b, \
                                    float* __restrict out) {                                           \
    float a = *pa;                                                                                     \
    for (int64_t i = 0; i < n; ++i) out[i] = apply<op>(a, b[i]);                                       \
  }

INSTRUCTION(add, ADD)
INSTRUCTION(subtract, SUBTRACT)
INSTRUCTION(multiply, MULTIPLY)
INSTRUCTION(divide, DIVIDE)
INSTRUCTION(maximum, MAXIMUM)
INSTRUCTION(minimum, MINIMUM)
INSTRUCTION(root, ROOT)
INSTRUCTION(negate, NEGATE)
INSTRUCTION(absolute, ABSOLUTE)

struct Forms {
  Binary vv, vs, sv;
};

// By `Op`.
const Forms FORMS[] = {
    {add_vv, add_vs, add_sv},          {subtract_vv, subtract_vs, subtract_sv},
    {multiply_vv, multiply_vs, multiply_sv}, {divide_vv, divide_vs, divide_sv},
    {maximum_vv, maximum_vs, maximum_sv}, {minimum_vv, minimum_vs, minimum_sv},
    {root_vv, root_vs, root_sv},       {negate_vv, negate_vs, negate_sv},
    {absolute_vv, absolute_vs, absolute_sv},
};
static_assert(sizeof FORMS / sizeof FORMS[0] == OPS);

struct Instruction {
  Binary run;
  int64_t a, b, out;  // registers
};

struct Plan {
  int64_t arrays = 0, given = 0, registers = 0;  // of a copy: its arrays, and its numbers with them
  int64_t copies = 0;
  std::vector<int64_t> ends;         // where the elements of each copy end, if they follow one another
  std::vector<const float*> in;      // the arrays, copy by copy
  std::vector<float> numbers;
  std::vector<float*> results;       // copy by copy
  std::vector<int64_t> outs;
  std::vector<Instruction> code;
  RuleLoop rule = nullptr;

  int64_t start(int64_t copy) const { return copy ? ends[copy - 1] : 0; }
  int64_t elements(int64_t copy) const { return ends[copy] - start(copy); }
};

std::string read_arguments(ffi::RemainingArgs& args, Plan& plan) {
  for (size_t i = 0; i < args.size(); ++i) {
    auto x = args.get<ffi::AnyBuffer>(i);
    if (!x.has_value() || x->element_type() != ffi::F32) return "floats are needed";
    int64_t count = x->element_count();
    auto* at = static_cast<const float*>(x->untyped_data());
    int64_t copy = static_cast<int64_t>(i) / plan.arrays;
    bool is_array = copy < plan.copies;
    if (is_array && i % plan.arrays == 0) plan.ends.push_back(plan.start(copy) + count);
    if (count != (is_array ? plan.elements(copy) : 1)) return "shapes differ";
    if (is_array) plan.in.push_back(at);
    else plan.numbers.push_back(*at);
  }
  return "";
}

std::string read_results(ffi::RemainingRets& rets, int64_t of_copy, Plan& plan) {
  for (size_t k = 0; k < rets.size(); ++k) {
    auto y = rets.get<ffi::AnyBuffer>(k);
    if (!y.has_value() || (*y)->element_type() != ffi::F32 ||
        static_cast<int64_t>((*y)->element_count()) != plan.elements(k / of_copy))
      return "shapes differ";
    plan.results.push_back(static_cast<float*>((*y)->untyped_data()));
  }
  return "";
}

std::string read_code(ffi::Span<const int64_t> code, ffi::Span<const int64_t> outs, Plan& plan) {
  std::vector<bool> is_result(plan.registers);
  for (int64_t out : outs) {
    if (out < plan.given || out >= plan.registers || is_result[out]) return "malformed";
    is_result[out] = true;
  }
  plan.outs.assign(outs.begin(), outs.end());
  auto is_number = [&](int64_t r) { return r >= plan.arrays && r < plan.given; };
  for (int64_t i = plan.given; i < plan.registers; ++i) {
    const int64_t* at = code.begin() + 3 * (i - plan.given);
    int64_t op = at[0], a = at[1], b = at[2];
    if (op < 0 || op >= OPS || a < 0 || a >= i || b < 0 || b >= i) return "malformed";
    if (is_number(a) && is_number(b)) return "malformed";
    Binary run = is_number(b) ? FORMS[op].vs : is_number(a) ? FORMS[op].sv : FORMS[op].vv;
    plan.code.push_back({run, a, b, i});
  }
  return "";
}

std::string plan_for(ffi::RemainingArgs& args, ffi::RemainingRets& rets, int64_t copies, int64_t arrays,
                     ffi::Span<const int64_t> code, ffi::Span<const int64_t> outs, Plan& plan) {
  int64_t arguments = args.size(), results = rets.size(), of_outs = outs.size();
  if (copies < 1 || arrays < 1 || copies > arguments || arrays > arguments / copies || code.size() % 3 ||
      of_outs > results || of_outs * copies != results)
    return "malformed";
  plan.copies = copies;
  plan.arrays = arrays;
  plan.given = arrays + arguments - copies * arrays;
  plan.registers = plan.given + code.size() / 3;
  std::string wrong = read_arguments(args, plan);
  if (wrong.empty()) wrong = read_results(rets, of_outs, plan);
  if (wrong.empty()) wrong = read_code(code, outs, plan);
  if (wrong.empty())
    plan.rule = loop_of_rule(arrays, plan.given - arrays, {code.begin(), code.size()}, {outs.begin(), outs.size()});
  return wrong;
}

// Elements of one copy.
void run_rule(const Plan& plan, int64_t copy, int64_t from, int64_t to) {
  std::vector<const float*> in(plan.in.begin() + copy * plan.arrays, plan.in.begin() + (copy + 1) * plan.arrays);
  auto first = plan.results.begin() + copy * plan.outs.size();
  std::vector<float*> out(first, first + plan.outs.size());
  for (auto& p : in) p += from;
  for (auto& p : out) p += from;
  plan.rule(to - from, in.data(), plan.numbers.data(), out.data());
}

void interpret(const Plan& plan, int64_t copy, int64_t from, int64_t to) {
  std::vector<float> scratch(plan.code.size() * PIECE);
  std::vector<float*> base(plan.registers);
  std::vector<int64_t> step(plan.registers);  // 1 where a register moves along an array
  for (int64_t k = 0; k < plan.arrays; ++k) {
    base[k] = const_cast<float*>(plan.in[copy * plan.arrays + k]);  // no instruction writes there
    step[k] = 1;
  }
  for (int64_t k = plan.arrays; k < plan.given; ++k)
    base[k] = const_cast<float*>(&plan.numbers[k - plan.arrays]);
  for (size_t k = 0; k < plan.code.size(); ++k) base[plan.given + k] = scratch.data() + k * PIECE;
  for (size_t k = 0; k < plan.outs.size(); ++k) {
    base[plan.outs[k]] = plan.results[copy * plan.outs.size() + k];
    step[plan.outs[k]] = 1;
  }
  for (int64_t at = from; at < to; at += PIECE) {
    int64_t n = std::min(PIECE, to - at);
    auto place = [&](int64_t r) { return base[r] + step[r] * at; };
    for (const Instruction& i : plan.code) i.run(n, place(i.a), place(i.b), place(i.out));
  }
}

// Elements of all copies, as if they followed one another.
void run(const Plan& plan, int64_t from, int64_t to) {
  int64_t copy = std::upper_bound(plan.ends.begin(), plan.ends.end(), from) - plan.ends.begin();
  for (; from < to; ++copy) {
    int64_t start = plan.start(copy), until = std::min(to, plan.ends[copy]);
    (plan.rule ? run_rule : interpret)(plan, copy, from - start, until - start);
    from = until;
  }
}

ffi::Error handle(ffi::ThreadPool pool, ffi::RemainingArgs args, ffi::RemainingRets rets, int64_t copies,
                  int64_t arrays, ffi::Span<const int64_t> code, ffi::Span<const int64_t> outs, int64_t awake) {
  return guarded("updates", [&] {
    Plan plan;
    std::string wrong = plan_for(args, rets, copies, arrays, code, outs, plan);
    if (!wrong.empty()) throw std::invalid_argument(wrong);
    int64_t all = plan.ends.back();
    double cost = (plan.rule ? COST_OF_RULE : COST) * all * plan.code.size();
    int64_t parts = std::min(parts_for(pool, cost, 4), (all + PIECE - 1) / PIECE);
    auto some = [&](int64_t from, int64_t to) { run(plan, from, to); };
    for_pieces(pool, parts, all, PIECE, some, awake != 0);
  });
}

}  // namespace
}  // namespace torchish

XLA_FFI_DEFINE_HANDLER_SYMBOL(torchish_updates, torchish::handle,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .RemainingArgs()
                                  .RemainingRets()
                                  .Attr<int64_t>("copies")
                                  .Attr<int64_t>("arrays")
                                  .Attr<ffi::Span<const int64_t>>("code")
                                  .Attr<ffi::Span<const int64_t>>("outs")
                                  .Attr<int64_t>("awake"));
