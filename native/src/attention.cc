// Attention and its gradient, as two XLA FFI handlers.
//
//   forward:  q (..., L, E), k (..., S, E), v (..., S, F), scale [, mask] -> out (..., L, F)
//   gradient: d_out, q, k, v, scale [, mask]                              -> dq, dk, dv
//
//   out = softmax(scale q k^T + mask) v; a row that is hidden entirely gives zeros
//
// The mask is bool (where to look) or float (added), of q's rank, its sizes S at the end and 1 or the
// full size before. `causal` hides the columns after a row's own number.
//
// A head goes through blocks of its rows, whose scores stay in a core's cache: nothing of size L x S
// is made. The gradient computes the probabilities again, which is cheaper than to keep them. Calls
// are cut over the threads of XLA's pool, forward by blocks, backward by heads, whose dk and dv are
// sums over their blocks.
//
// `orders` tells for each large array in turn which of these dimensions its own are (the last one is
// always the last): heads that stand between rows, as after a projection, are read where they are.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <exception>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "functions.h"
#include "gemm.h"
#include "handlers.h"
#include "parallel.h"
#include "processor.h"
#include "tiles.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace torchish {
namespace {

using Floats = ffi::Buffer<ffi::F32>;

constexpr float LOW = -std::numeric_limits<float>::infinity();
constexpr int64_t MOST_ROWS = 64;
constexpr int64_t BLOCK = 1 << 16;  // floats: the scores of a block, and their gradient, stay in a cache
constexpr int64_t MOST_TILED = 1024;  // columns: beyond, oneDNN's own blocks for the caches pay
constexpr double COST_OF_SCORE = 16;  // exp and the sums of a row, in multiplications of a product

int64_t rounded(int64_t n) { return (n + LANES - 1) / LANES * LANES; }

// Rows of a mask, `step` apart: what is added, or where to look.
struct Masked {
  const float* added = nullptr;
  const uint8_t* looks = nullptr;
  int64_t step = 0;
};

INLINE float larger(float a, float b) { return a > b ? a : b; }

// What the lanes come to, by halves: rows follow one another without waiting for each other's.
#define ACROSS(name, join)                                                   \
  INLINE float name(const Vector& lanes) {                                   \
    float x[LANES];                                                          \
    std::memcpy(x, &lanes, sizeof x);                                        \
    for (int64_t l = 0; l < 8; ++l) x[l] = join(x[l], x[l + 8]);             \
    for (int64_t l = 0; l < 4; ++l) x[l] = join(x[l], x[l + 4]);             \
    return join(join(x[0], x[1]), join(x[2], x[3]));                         \
  }

INLINE float plus(float a, float b) { return a + b; }
ACROSS(largest_of, larger)
ACROSS(sum_of, plus)

// What stands after `seen` in the last vector of `n` floats. A whole vector is written: what is
// written by parts is not soon read as one.
INLINE void blank(int64_t seen, int64_t n, float* x, float by) {
  constexpr Numbers LANE = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  Vector& tail = *reinterpret_cast<Vector*>(x + n - LANES);
  tail = LANE < static_cast<int32_t>(seen - n + LANES) ? tail : Vector{} + by;
}

// A row's scores become exp(score - peak), and zeros from `seen` to `width`; the result is what
// makes them probabilities. A NaN anywhere makes the sum one.
INLINE float raise(int64_t seen, int64_t width, float* __restrict x, const float* __restrict added,
                   const uint8_t* __restrict looks) {
  int64_t n = std::min(width, rounded(seen));
  if (added)
    for (int64_t i = 0; i < seen; ++i) x[i] += added[i];
  if (looks)
    for (int64_t i = 0; i < seen; ++i) x[i] = looks[i] ? x[i] : LOW;
  blank(seen, n, x, LOW);
  Vector most = VECTOR(x);
  for (int64_t i = LANES; i < n; i += LANES) most = VECTOR(x + i) > most ? VECTOR(x + i) : most;
  float peak = largest_of(most);
  peak = peak == LOW ? 0.0f : peak;
  for (int64_t i = 0; i < n; i += LANES)
    for (int64_t l = i; l < i + LANES; ++l) {
      float s = x[l] - peak, e = exponential(s);
      x[l] = s < -87.0f ? 0.0f : e;
    }
  Vector sum = VECTOR(x);
  for (int64_t i = LANES; i < n; i += LANES) sum += VECTOR(x + i);
  for (int64_t i = n; i < width; ++i) x[i] = 0.0f;
  float all = sum_of(sum);
  return all == 0.0f ? 0.0f : 1.0f / all;
}

FOR_EACH_PROCESSOR void raise_rows(int64_t rows, int64_t seen, int64_t more, int64_t most, int64_t width, float* x, Masked m, float* factors) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* added = m.added ? m.added + r * m.step : nullptr;
    const uint8_t* looks = m.looks ? m.looks + r * m.step : nullptr;
    factors[r] = raise(std::min(most, seen + r * more), width, x + r * width, added, looks);
  }
}

FOR_EACH_PROCESSOR void scale_rows(int64_t rows, int64_t n, int64_t step, const float* factors, float* x) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < n; ++i) x[r * step + i] *= factors[r];
}

// The gradient of a row's scores, in the place of that of its probabilities.
INLINE void score_gradient(int64_t seen, int64_t width, const float* __restrict p, float* __restrict dp) {
  int64_t n = std::min(width, rounded(seen));
  blank(seen, n, dp, 0.0f);
  Vector sum = VECTOR(p) * VECTOR(dp);
  for (int64_t i = LANES; i < n; i += LANES) sum += VECTOR(p + i) * VECTOR(dp + i);
  float mean = sum_of(sum);
  for (int64_t i = 0; i < n; i += LANES)
    for (int64_t l = i; l < i + LANES; ++l) dp[l] = p[l] * (dp[l] - mean);
  for (int64_t i = n; i < width; ++i) dp[i] = 0.0f;
}

FOR_EACH_PROCESSOR void score_gradients(int64_t rows, int64_t seen, int64_t more, int64_t most, int64_t width, const float* p, float* dp) {
  for (int64_t r = 0; r < rows; ++r)
    score_gradient(std::min(most, seen + r * more), width, p + r * width, dp + r * width);
}

// A stack of matrices whose rows are contiguous: where each begins, and how far rows are apart.
struct Stack {
  float* data;
  std::vector<int64_t> sizes, strides;
  int64_t rows, columns, step;

  float* at(int64_t head) const {
    float* found = data;
    for (size_t d = sizes.size(); d-- > 0; head /= sizes[d]) found += head % sizes[d] * strides[d];
    return found;
  }
};

// `order`: which of the dimensions (..., rows, columns) each of the array's own is.
Stack stack_of(const Floats& x, const int64_t* order) {
  auto own = x.dimensions();
  int64_t rank = own.size(), apart = 1;
  std::vector<int64_t> shape(rank), strides(rank, 0);
  for (int64_t k = rank; k-- > 0; apart *= own[k]) {
    int64_t d = order[k];
    if (d < 0 || d >= rank || strides[d] || (k == rank - 1 && d != k))
      throw std::runtime_error("no order of dimensions");
    shape[d] = own[k], strides[d] = apart;
  }
  return {x.typed_data(), {shape.begin(), shape.end() - 2}, {strides.begin(), strides.end() - 2},
          shape[rank - 2], shape[rank - 1], strides[rank - 2]};
}

struct Mask {
  const void* data = nullptr;
  bool is_bool = false;
  std::vector<int64_t> sizes, strides;  // sizes of the heads' dimensions; 0 apart where it repeats
  int64_t step = 0;

  int64_t at(int64_t head, int64_t row) const {
    int64_t found = row * step;
    for (size_t d = sizes.size(); d-- > 0; head /= sizes[d]) found += head % sizes[d] * strides[d];
    return found;
  }

  Masked rows(int64_t head, int64_t from) const {
    if (!data) return {};
    int64_t first = at(head, from);
    if (is_bool) return {nullptr, static_cast<const uint8_t*>(data) + first, step};
    return {static_cast<const float*>(data) + first, nullptr, step};
  }
};

struct Gradients {
  Stack out, q, k, v;
};

struct Call {
  Stack q, k, v;
  Mask mask;
  float scale;
  bool causal;
  int64_t heads = 1;

  int64_t rows() const { return q.rows; }
  int64_t columns() const { return k.rows; }
  int64_t block() const {
    int64_t fit = std::clamp(BLOCK / rounded(columns()), LANES, MOST_ROWS);
    return std::min(rows(), fit);
  }
  int64_t blocks() const { return (rows() + block() - 1) / block(); }
  // How many columns the rows before `row` see.
  int64_t seen(int64_t row) const { return causal ? std::min(columns(), row) : columns(); }
};

using Scratch = std::unique_ptr<float[]>;

// What one part of a call works with. `turned_k` and `turned_v` are those of `head`.
class Worker {
 public:
  Worker(const Call& c, bool backward)
      : c_(c),
        tiled_(has_tiles() && c.q.columns % LANES == 0 && c.v.columns % LANES == 0 && c.block() >= LANES &&
               c.columns() <= MOST_TILED),
        scores_(new float[c.block() * rounded(c.columns())]) {
    if (backward) slopes_.reset(new float[c.block() * rounded(c.columns())]);
    if (tiled_) turned_k_.reset(new float[c.q.columns * rounded(c.columns())]);
    if (tiled_ && backward) turned_v_.reset(new float[c.v.columns * rounded(c.columns())]);
  }

  void forward(const Stack& out, int64_t head, int64_t from, int64_t to) {
    enter(head, from, to);
    float* result = out.at(head) + from * out.step;
    raise();
    along(scores_.get(), c_.v, out.step, result, 1.0f);
    scale_rows(to - from, out.columns, out.step, factors_, result);
  }

  void backward(const Gradients& d, int64_t head) {
    float *dk = d.k.at(head), *dv = d.v.at(head);
    adds_ = c_.blocks() > 1 || c_.seen(c_.rows()) < c_.columns();
    if (adds_) clear(d.k, dk), clear(d.v, dv);
    for (int64_t from = 0; from < c_.rows(); from += c_.block()) {
      enter(head, from, std::min(c_.rows(), from + c_.block()));
      raise();
      scale_rows(to_ - from_, width_, width_, factors_, scores_.get());
      across(d.out, c_.v, turned_v_.get(), slopes_.get(), 1.0f);
      turned(scores_.get(), d.out, d.v.step, dv, 1.0f);
      score_gradients(to_ - from_, first(), c_.causal, c_.columns(), width_, scores_.get(), slopes_.get());
      along(slopes_.get(), c_.k, d.q.step, d.q.at(head) + from * d.q.step, c_.scale);
      turned(slopes_.get(), c_.q, d.k.step, dk, c_.scale);
    }
  }

 private:
  void enter(int64_t head, int64_t from, int64_t to) {
    from_ = from, to_ = to, seen_ = c_.seen(to), width_ = rounded(seen_);
    if (tiled_ && head != head_) {
      transpose(c_.columns(), c_.q.columns, c_.k.at(head), c_.k.step, turned_k_.get(), rounded(c_.columns()));
      if (turned_v_)
        transpose(c_.columns(), c_.v.columns, c_.v.at(head), c_.v.step, turned_v_.get(), rounded(c_.columns()));
    }
    head_ = head;
  }

  // How many columns the first row of the block sees.
  int64_t first() const { return c_.causal ? from_ + 1 : c_.columns(); }
  Part part(Part of) const { return c_.causal ? of : Part::ALL; }

  void raise() {
    across(c_.q, c_.k, turned_k_.get(), scores_.get(), c_.scale);
    raise_rows(to_ - from_, first(), c_.causal, c_.columns(), width_, scores_.get(), c_.mask.rows(head_, from_),
               factors_);
  }

  // out = alpha x y^T, of the block's rows of x.
  void across(const Stack& x, const Stack& y, const float* turned_y, float* out, float alpha) const {
    const float* rows = x.at(head_) + from_ * x.step;
    if (tiled_)
      multiply(Tiled{to_ - from_, width_ / LANES, x.columns, rows, x.step, 1, turned_y, rounded(c_.columns()),
                     out, width_, alpha, false, part(Part::COLUMNS), from_});
    else
      multiply(Gemm{to_ - from_, seen_, x.columns, false, true, x.step, y.step, width_, false, alpha}, rows,
               y.at(head_), out);
  }

  // out = alpha p y: a row of the block's.
  void along(const float* p, const Stack& y, int64_t step, float* out, float alpha) const {
    if (tiled_)
      multiply(Tiled{to_ - from_, y.columns / LANES, seen_, p, width_, 1, y.at(head_), y.step, out, step, alpha,
                     false, part(Part::INNER), from_});
    else
      multiply(Gemm{to_ - from_, y.columns, seen_, false, false, width_, y.step, step, false, alpha}, p, y.at(head_),
               out);
  }

  // out += alpha p^T x, of the block's rows of x.
  void turned(const float* p, const Stack& x, int64_t step, float* out, float alpha) const {
    const float* rows = x.at(head_) + from_ * x.step;
    if (tiled_)
      multiply(Tiled{seen_, x.columns / LANES, to_ - from_, p, 1, width_, rows, x.step, out, step, alpha, adds_,
                     part(Part::TURNED), from_});
    else
      multiply(Gemm{seen_, x.columns, to_ - from_, true, false, width_, x.step, step, adds_, alpha},
               p, rows, out);
  }

  static void clear(const Stack& x, float* at) {
    for (int64_t r = 0; r < x.rows; ++r) std::memset(at + r * x.step, 0, x.columns * sizeof(float));
  }

  const Call& c_;
  bool tiled_, adds_ = false;
  Scratch scores_, slopes_, turned_k_, turned_v_;
  float factors_[MOST_ROWS];
  int64_t head_ = -1, from_ = 0, to_ = 0, seen_ = 0, width_ = 0;
};

double cost(const Call& c) {
  double each = c.q.columns + c.v.columns + COST_OF_SCORE;
  return each * c.heads * c.rows() * c.columns() * (c.causal ? 0.6 : 1.0);
}

bool same(const Stack& a, const Stack& b, int64_t rows, int64_t columns) {
  return a.sizes == b.sizes && b.rows == rows && b.columns == columns;
}

Mask mask_of(ffi::RemainingArgs& rest, const Call& c) {
  Mask m;
  if (rest.size() == 0) return m;
  auto given = rest.get<ffi::AnyBuffer>(0);
  if (!given.has_value() || rest.size() > 1) throw std::runtime_error("one mask is needed");
  auto shape = given->dimensions();
  m.data = given->untyped_data();
  m.is_bool = given->element_type() == ffi::PRED;
  m.sizes = c.q.sizes;
  size_t heads = m.sizes.size();
  std::vector<int64_t> full = m.sizes;
  full.insert(full.end(), {c.rows(), c.columns()});
  if (shape.size() != full.size() || (!m.is_bool && given->element_type() != ffi::F32))
    throw std::runtime_error("the mask does not fit");
  std::vector<int64_t> strides(full.size(), 0);
  int64_t apart = 1;
  for (size_t d = full.size(); d-- > 0; apart *= shape[d]) {
    bool repeats = shape[d] != full[d];
    if (repeats && (shape[d] != 1 || d == full.size() - 1)) throw std::runtime_error("the mask does not fit");
    strides[d] = repeats ? 0 : apart;
  }
  m.step = strides[heads];
  m.strides.assign(strides.begin(), strides.begin() + heads);
  return m;
}

Call call_of(Floats q, Floats k, Floats v, Floats scale, ffi::RemainingArgs& rest, int64_t causal,
             const int64_t* orders) {
  int64_t rank = q.dimensions().size();
  for (const Floats* x : {&k, &v})
    if (rank < 2 || static_cast<int64_t>(x->dimensions().size()) != rank)
      throw std::runtime_error("shapes do not fit");
  Call c{stack_of(q, orders), stack_of(k, orders + rank), stack_of(v, orders + 2 * rank), {},
         scale.typed_data()[0], causal != 0};
  if (!same(c.q, c.k, c.k.rows, c.q.columns) || !same(c.q, c.v, c.k.rows, c.v.columns) || !c.columns())
    throw std::runtime_error("shapes do not fit");
  for (int64_t n : c.q.sizes) c.heads *= n;
  c.mask = mask_of(rest, c);
  return c;
}

// `count`: how many large arrays `orders` is about, all of one rank.
// The order of dimensions of the first of `count` arrays of heads; the others' follow.
const int64_t* orders_of(const Floats& q, ffi::Span<const int64_t> orders, size_t count) {
  if (orders.size() != count * q.dimensions().size()) throw std::runtime_error("orders are needed");
  return orders.begin();
}

ffi::Error handle_forward(ffi::ThreadPool pool, Floats q, Floats k, Floats v, Floats scale,
                          ffi::RemainingArgs rest, ffi::Result<Floats> out, int64_t causal,
                          ffi::Span<const int64_t> orders) {
  return guarded("attention", [&] {
    int64_t rank = q.dimensions().size();
    const int64_t* order = orders_of(q, orders, 4);
    Call c = call_of(q, k, v, scale, rest, causal, order);
    Stack result = stack_of(*out, order + 3 * rank);
    if (!same(c.q, result, c.rows(), c.v.columns)) throw std::runtime_error("shapes do not fit");
    int64_t blocks = c.blocks(), units = c.heads * blocks;
    int64_t parts = std::min(parts_for(pool, cost(c), 4), units);
    for_pieces(pool, parts, units, 1, [&](int64_t from, int64_t to) {
      Worker worker(c, false);
      for (int64_t u = from; u < to; ++u) {
        int64_t row = u % blocks * c.block();
        worker.forward(result, u / blocks, row, std::min(c.rows(), row + c.block()));
      }
    });
  });
}

ffi::Error handle_gradient(ffi::ThreadPool pool, Floats d_out, Floats q, Floats k, Floats v, Floats scale,
                           ffi::RemainingArgs rest, ffi::Result<Floats> dq, ffi::Result<Floats> dk,
                           ffi::Result<Floats> dv, int64_t causal, ffi::Span<const int64_t> orders) {
  return guarded("attention", [&] {
    int64_t rank = q.dimensions().size();
    const int64_t* order = orders_of(q, orders, 7);
    Call c = call_of(q, k, v, scale, rest, causal, order + rank);
    Gradients d{stack_of(d_out, order), stack_of(*dq, order + 4 * rank), stack_of(*dk, order + 5 * rank),
                stack_of(*dv, order + 6 * rank)};
    if (!same(c.q, d.out, c.rows(), c.v.columns) || !same(c.q, d.q, c.rows(), c.q.columns) ||
        !same(c.q, d.k, c.k.rows, c.k.columns) || !same(c.q, d.v, c.v.rows, c.v.columns))
      throw std::runtime_error("shapes do not fit");
    int64_t parts = std::min(parts_for(pool, 2.5 * cost(c), 4), c.heads);
    for_pieces(pool, parts, c.heads, 1, [&](int64_t from, int64_t to) {
      Worker worker(c, true);
      for (int64_t h = from; h < to; ++h) worker.backward(d, h);
    });
  });
}

}  // namespace
}  // namespace torchish

using torchish::Floats;

XLA_FFI_DEFINE_HANDLER_SYMBOL(torchish_attention, torchish::handle_forward,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Floats>()
                                  .Arg<Floats>()
                                  .Arg<Floats>()
                                  .Arg<Floats>()
                                  .RemainingArgs()
                                  .Ret<Floats>()
                                  .Attr<int64_t>("causal")
                                  .Attr<ffi::Span<const int64_t>>("orders"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(torchish_attention_gradient, torchish::handle_gradient,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Floats>()
                                  .Arg<Floats>()
                                  .Arg<Floats>()
                                  .Arg<Floats>()
                                  .Arg<Floats>()
                                  .RemainingArgs()
                                  .Ret<Floats>()
                                  .Ret<Floats>()
                                  .Ret<Floats>()
                                  .Attr<int64_t>("causal")
                                  .Attr<ffi::Span<const int64_t>>("orders"));
