// The three maps of a convolution by oneDNN, as one XLA FFI handler.
//
//   kind 0: y from (x, w)      kind 1: x from (y, w)      kind 2: w from (x, y)
//
// x is N, C, spatial..., w is O, C / groups, spatial..., y is N, O, spatial...; x and y may lie with
// their channels last. A call is cut into parts, one a thread of XLA's pool: pieces of the batch
// where activations are the larger operand, pieces of the output's channels where weights are.
// Errors of oneDNN are C++ exceptions and become errors of the program.
//
// oneDNN wants weights in an order of its own. Whoever calls with the same weights again and again
// has them packed once (`pack`) and gives the packed array with each call.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <shared_mutex>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "oneapi/dnnl/dnnl.hpp"
#include "conv_products.h"
#include "engine.h"
#include "handlers.h"
#include "parallel.h"
#include "problem.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace torchish {
namespace {

// Weights with a dimension of groups in front where there are any.
dims grouped(const dims& shape, int64_t groups) {
  dims out = shape;
  if (groups > 1) out[0] /= groups, out.insert(out.begin(), groups);
  return out;
}

dims grouped_strides(const dims& shape, const dims& strides, int64_t groups) {
  dims out = strides;
  if (groups > 1) out.insert(out.begin(), strides[0] * (shape[0] / groups));
  return out;
}

// A primitive with the reorders from and to the caller's layout, where it wants another.
struct Prepared {
  dnnl::primitive run, reorder_a, reorder_b, reorder_out;
  memory::desc a, b, out;                 // what the primitive takes
  memory::desc user_a, user_b, user_out;  // what the caller has
  memory::desc scratch;
  int arg_a, arg_b, arg_out;
  std::string name;

  bool converts_a() const { return a != user_a; }
  bool converts_b() const { return b != user_b; }
  bool converts_out() const { return out != user_out; }
};

template <typename Desc>
void finish(Prepared& p, const Desc& pd, memory::desc a, memory::desc b, memory::desc out) {
  p.run = dnnl::primitive(pd.get());
  p.a = a, p.b = b, p.out = out;
  p.scratch = pd.scratchpad_desc();
  p.name = pd.impl_info_str();
  auto& e = engine();
  if (p.converts_a()) p.reorder_a = dnnl::reorder({e, p.user_a, e, p.a});
  if (p.converts_b()) p.reorder_b = dnnl::reorder({e, p.user_b, e, p.b});
  if (p.converts_out()) p.reorder_out = dnnl::reorder({e, p.out, e, p.user_out});
}

// oneDNN's first choice for float32, `brgconv`, wins by some 6 % where rows of the output have 5 to 31
// pixels. Its second, `jit`, wins by 2 to 7 % in longer ones, by 30 to 50 % in shorter ones, and in
// pointwise convolutions with a stride.
template <typename Desc>
void choose(const Problem& q, Desc& pd) {
  bool pointwise = elements(q.w) == q.w[0] * q.w[1];
  bool usual = q.y.back() > 4 && q.y.back() < 32 && !pointwise;
  if (q.type != dtype::f32 || usual) return;
  auto starts = [](const Desc& d, const char* text) { return std::string(d.impl_info_str()).rfind(text, 0) == 0; };
  Desc other = pd;
  while (starts(other, "brgconv"))
    if (!other.next_impl()) return;
  if (starts(other, "jit:avx512") || starts(other, "jit_1x1:avx512")) pd = other;
}

std::unique_ptr<Prepared> prepare(const Problem& q) {
  auto p = std::make_unique<Prepared>();
  auto any = memory::format_tag::any;
  dims w = grouped(q.w, q.groups), low = q.low, high, dilation;
  for (size_t d = 0; d < q.stride.size(); ++d) {
    int64_t reach = q.dilation[d] * (q.w[d + 2] - 1) + 1;
    high.push_back((q.y[d + 2] - 1) * q.stride[d] + reach - q.x[d + 2] - low[d]);
    dilation.push_back(q.dilation[d] - 1);
  }
  memory::desc x_user(q.x, q.type, q.xs), y_user(q.y, q.type, q.ys);
  memory::desc w_user(w, q.type, grouped_strides(q.w, q.ws, q.groups));
  memory::desc x(q.x, q.type, any), wd(w, q.type, any), y(q.y, q.type, any);
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  auto direct = dnnl::algorithm::convolution_direct;
  dnnl::convolution_forward::primitive_desc forward(
      engine(), q.kind == FORWARD ? dnnl::prop_kind::forward_inference : dnnl::prop_kind::forward_training,
      direct, x, wd, y, q.stride, dilation, low, high, attr);
  if (q.kind == FORWARD) {
    choose(q, forward);
    p->user_a = x_user, p->user_b = w_user, p->user_out = y_user;
    p->arg_a = DNNL_ARG_SRC, p->arg_b = DNNL_ARG_WEIGHTS, p->arg_out = DNNL_ARG_DST;
    finish(*p, forward, forward.src_desc(), forward.weights_desc(), forward.dst_desc());
  } else if (q.kind == INPUT_GRAD) {
    dnnl::convolution_backward_data::primitive_desc pd(
        engine(), direct, x, wd, y, q.stride, dilation, low, high, forward, attr);
    choose(q, pd);
    p->user_a = y_user, p->user_b = w_user, p->user_out = x_user;
    p->arg_a = DNNL_ARG_DIFF_DST, p->arg_b = DNNL_ARG_WEIGHTS, p->arg_out = DNNL_ARG_DIFF_SRC;
    finish(*p, pd, pd.diff_dst_desc(), pd.weights_desc(), pd.diff_src_desc());
  } else {
    dnnl::convolution_backward_weights::primitive_desc pd(
        engine(), direct, x, wd, y, q.stride, dilation, low, high, forward, attr);
    p->user_a = x_user, p->user_b = y_user, p->user_out = w_user;
    p->arg_a = DNNL_ARG_SRC, p->arg_b = DNNL_ARG_DIFF_DST, p->arg_out = DNNL_ARG_DIFF_WEIGHTS;
    finish(*p, pd, pd.src_desc(), pd.diff_dst_desc(), pd.diff_weights_desc());
  }
  return p;
}

// Primitives by problem, for the life of the process: one a shape and layout that a program uses.
const Prepared& prepared(const Problem& q) {
  static auto* lock = new std::shared_mutex;
  static auto* known = new std::unordered_map<std::string, std::unique_ptr<Prepared>>;
  std::string key = q.key();
  {
    std::shared_lock<std::shared_mutex> guard(*lock);
    auto found = known->find(key);
    if (found != known->end()) return *found->second;
  }
  auto made = prepare(q);
  std::unique_lock<std::shared_mutex> guard(*lock);
  return *known->emplace(std::move(key), std::move(made)).first->second;
}

// Memory of one thread for operands in oneDNN's layouts; it grows to what the largest call needs.
class Arena {
 public:
  ~Arena() { std::free(base_); }
  char* take(size_t bytes) {
    if (bytes > size_) {
      std::free(base_);
      size_ = (bytes + 4095) / 4096 * 4096;
      base_ = static_cast<char*>(std::aligned_alloc(4096, size_));
      if (base_ == nullptr) {
        size_ = 0;
        throw std::bad_alloc();
      }
    }
    return base_;
  }

 private:
  char* base_ = nullptr;
  size_t size_ = 0;
};

// `packed`: the second operand as the primitive takes it, or null.
void execute(const Prepared& p, void* a, void* b, void* out, char* packed = nullptr) {
  static thread_local Arena arena;
  static thread_local dnnl::stream stream(engine());
  auto padded = [](size_t bytes) { return (bytes + 63) / 64 * 64; };
  size_t na = p.converts_a() ? padded(p.a.get_size()) : 0;
  size_t nb = p.converts_b() && packed == nullptr ? padded(p.b.get_size()) : 0;
  size_t no = p.converts_out() ? padded(p.out.get_size()) : 0;
  char* at = arena.take(na + nb + no + padded(p.scratch.get_size()) + 64);
  auto& e = engine();
  memory ma(p.user_a, e, a), mb(p.user_b, e, b), mo(p.user_out, e, out);
  memory pa = ma, pb = mb, po = mo;
  if (na) {
    pa = memory(p.a, e, at);
    p.reorder_a.execute(stream, {{DNNL_ARG_FROM, ma}, {DNNL_ARG_TO, pa}});
  }
  if (nb) {
    pb = memory(p.b, e, at + na);
    p.reorder_b.execute(stream, {{DNNL_ARG_FROM, mb}, {DNNL_ARG_TO, pb}});
  } else if (packed != nullptr) {
    pb = memory(p.b, e, packed);
  }
  if (no) po = memory(p.out, e, at + na + nb);
  memory scratch(p.scratch, e, at + na + nb + no);
  p.run.execute(stream, {{p.arg_a, pa}, {p.arg_b, pb}, {p.arg_out, po}, {DNNL_ARG_SCRATCHPAD, scratch}});
  if (no) p.reorder_out.execute(stream, {{DNNL_ARG_FROM, po}, {DNNL_ARG_TO, mo}});
  stream.wait();
}

enum class Cut { NONE, BATCH, CHANNELS, GROUPS };

struct Plan {
  Cut cut = Cut::NONE;
  int64_t parts = 1;
};

Plan plan_for(const Problem& q, int64_t most) {
  if (most < 2) return {};
  int64_t activations = elements(q.x) + elements(q.y), weights = elements(q.w);
  int64_t channels = q.kind == INPUT_GRAD ? q.x[1] : q.y[1];
  // Pieces of the batch each have a gradient of the weights, added up afterwards in float32.
  bool adds = q.kind != WEIGHT_GRAD || q.type == dtype::f32;
  bool by_batch = adds && q.x[0] >= most, by_channel = q.groups == 1 && channels >= 32 * most;
  if (q.groups >= most && (q.kind == WEIGHT_GRAD || !by_batch)) return {Cut::GROUPS, most};
  if (by_channel && (weights > activations || !by_batch)) return {Cut::CHANNELS, most};
  if (by_batch) return {Cut::BATCH, most};
  if (adds && q.x[0] > 1) return {Cut::BATCH, q.x[0]};
  return {};
}

struct Part {
  Problem q;
  int64_t x = 0, w = 0, y = 0;  // where its arrays begin, in elements
};

Part part_of(const Problem& q, const Plan& plan, int64_t k) {
  Part part{q};
  auto slice = [](dims& shape, const dims& strides, int d, int64_t from, int64_t to) {
    shape[d] = to - from;
    return from * strides[d];
  };
  Problem& p = part.q;
  if (plan.cut == Cut::BATCH) {
    int64_t from = start_of(k, plan.parts, q.x[0], 1), to = start_of(k + 1, plan.parts, q.x[0], 1);
    part.x = slice(p.x, q.xs, 0, from, to);
    part.y = slice(p.y, q.ys, 0, from, to);
  } else if (plan.cut == Cut::CHANNELS && q.kind == INPUT_GRAD) {
    int64_t from = start_of(k, plan.parts, q.x[1], 16), to = start_of(k + 1, plan.parts, q.x[1], 16);
    part.x = slice(p.x, q.xs, 1, from, to);
    part.w = slice(p.w, q.ws, 1, from, to);
  } else if (plan.cut == Cut::CHANNELS) {
    int64_t from = start_of(k, plan.parts, q.y[1], 16), to = start_of(k + 1, plan.parts, q.y[1], 16);
    part.y = slice(p.y, q.ys, 1, from, to);
    part.w = slice(p.w, q.ws, 0, from, to);
  } else if (plan.cut == Cut::GROUPS) {
    bool depthwise = q.w[1] == 1 && q.w[0] == q.groups;
    int64_t unit = depthwise && q.groups >= 16 * plan.parts ? 16 : 1;
    int64_t from = start_of(k, plan.parts, q.groups, unit);
    int64_t to = start_of(k + 1, plan.parts, q.groups, unit);
    int64_t in = q.x[1] / q.groups, out = q.y[1] / q.groups;
    part.x = slice(p.x, q.xs, 1, from * in, to * in);
    part.y = slice(p.y, q.ys, 1, from * out, to * out);
    part.w = slice(p.w, q.ws, 0, from * out, to * out);
    p.groups = to - from;
  }
  return part;
}

int64_t width_of(const Problem& q) { return q.type == dtype::f32 ? 4 : 2; }

// How a packed array begins: what it was packed for, and where the weights of each part lie in it.
struct Label {
  static constexpr int64_t MOST = 62;
  uint64_t problem;
  int64_t parts;  // 0: nothing is packed here
  int64_t starts[MOST];  // from the array's beginning; 0: the part takes weights as they are
};

uint64_t hash_of(const Problem& q) { return std::hash<std::string>()(q.key()); }

// body(part, its primitive, start) for each part whose weights are packed, each piece of them once;
// the label and the bytes of the whole array, 0 where there is nothing to pack.
template <typename Body>
std::pair<Label, int64_t> lay_out(const Problem& q, int64_t threads, Body&& body) {
  OneThread single;
  Label label{hash_of(q), 0, {}};
  Plan plan = plan_for(q, parts_for(threads, products(q)));
  if (q.kind == WEIGHT_GRAD || plan.parts > Label::MOST || is_product(q)) return {label, 0};
  int64_t end = sizeof(Label);
  std::vector<std::pair<int64_t, const Prepared*>> seen;
  for (int64_t k = 0; k < plan.parts; ++k) {
    Part part = part_of(q, plan, k);
    const Prepared& p = prepared(part.q);
    seen.emplace_back(part.w, &p);
    if (!p.converts_b()) continue;
    for (int64_t j = 0; j < k && label.starts[k] == 0; ++j)
      if (seen[j].first == part.w && seen[j].second->b == p.b) label.starts[k] = label.starts[j];
    if (label.starts[k] != 0) continue;
    label.starts[k] = end;
    body(part, p, end);
    end += (p.b.get_size() + 63) / 64 * 64;
  }
  if (end == sizeof(Label)) return {label, 0};
  label.parts = plan.parts;
  return {label, end};
}

int64_t packed_bytes(const Problem& q, int64_t threads) {
  return lay_out(q, threads, [](const Part&, const Prepared&, int64_t) {}).second;
}

void pack(const Problem& q, int64_t threads, char* w, char* packed) {
  dnnl::stream stream(engine());
  auto label = lay_out(q, threads, [&](const Part& part, const Prepared& p, int64_t start) {
    memory from(p.user_b, engine(), w + part.w * width_of(q)), to(p.b, engine(), packed + start);
    p.reorder_b.execute(stream, {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
  }).first;
  stream.wait();
  std::memcpy(packed, &label, sizeof label);
}

void convolve(ffi::ThreadPool& pool, const Problem& q, char* x, char* w, char* y, char* packed) {
  int64_t width = width_of(q);
  Plan plan = plan_for(q, parts_for(pool, products(q)));
  const Label* label = reinterpret_cast<const Label*>(packed);
  // Packed for another number of threads, or not at all.
  if (packed != nullptr && (label->parts != plan.parts || label->problem != hash_of(q))) label = nullptr;
  bool sums = q.kind == WEIGHT_GRAD && plan.cut == Cut::BATCH;
  int64_t count = elements(q.w);
  std::unique_ptr<float[]> more(sums ? new float[count * (plan.parts - 1)] : nullptr);
  for_parts(pool, plan.parts, [&](int64_t k) {
    Part part = part_of(q, plan, k);
    char *px = x + part.x * width, *pw = w + part.w * width, *py = y + part.y * width;
    if (sums && k > 0) pw = reinterpret_cast<char*>(more.get() + count * (k - 1));
    const Prepared& p = prepared(part.q);
    char* ready = label != nullptr && label->starts[k] != 0 ? packed + label->starts[k] : nullptr;
    if (q.kind == FORWARD) execute(p, px, pw, py, ready);
    else if (q.kind == INPUT_GRAD) execute(p, py, pw, px, ready);
    else execute(p, px, py, pw);
  });
  if (!sums) return;
  float* total = reinterpret_cast<float*>(w);
  int64_t pieces = count >= (1 << 16) ? plan.parts : 1;
  for_parts(pool, pieces, [&](int64_t k) {
    int64_t from = start_of(k, pieces, count, 16), to = start_of(k + 1, pieces, count, 16);
    for (int64_t part = 1; part < plan.parts; ++part) {
      const float* extra = more.get() + count * (part - 1);
      for (int64_t i = from; i < to; ++i) total[i] += extra[i];
    }
  });
}

// Where the arrays lie; with their channels last or not.
void lie(Problem& q, bool last) {
  q.xs = last ? channels_last(q.x) : row_major(q.x);
  q.ys = last ? channels_last(q.y) : row_major(q.y);
  q.ws = row_major(q.w);
}

dims to_dims(ffi::Span<const int64_t> s) { return dims(s.begin(), s.end()); }

ffi::Error run(ffi::ThreadPool pool, ffi::AnyBuffer a, ffi::AnyBuffer b, char* packed,
               ffi::Result<ffi::AnyBuffer> out, int64_t kind, int64_t groups, int64_t last,
               ffi::Span<const int64_t> stride, ffi::Span<const int64_t> low,
               ffi::Span<const int64_t> dilation) {
  return guarded("oneDNN convolution", [&] {
    Problem q;
    q.kind = kind;
    if (a.element_type() == ffi::F32) q.type = dtype::f32;
    else if (a.element_type() == ffi::BF16) q.type = dtype::bf16;
    else throw std::invalid_argument("float32 or bfloat16 is needed");
    ffi::AnyBuffer *x = &a, *w = &b, *y = &*out;
    if (kind == INPUT_GRAD) x = &*out, y = &a;
    if (kind == WEIGHT_GRAD) y = &b, w = &*out;
    q.x = to_dims(x->dimensions()), q.w = to_dims(w->dimensions()), q.y = to_dims(y->dimensions());
    q.stride = to_dims(stride), q.low = to_dims(low), q.dilation = to_dims(dilation);
    q.groups = groups;
    lie(q, last);
    auto bytes = [](ffi::AnyBuffer* buffer) { return static_cast<char*>(buffer->untyped_data()); };
    auto floats = [](ffi::AnyBuffer* buffer) { return static_cast<float*>(buffer->untyped_data()); };
    if (is_product(q)) convolve_as_product(pool, q, floats(x), floats(w), floats(y));
    else convolve(pool, q, bytes(x), bytes(w), bytes(y), packed);
  });
}

ffi::Error handle(ffi::ThreadPool pool, ffi::AnyBuffer a, ffi::AnyBuffer b, ffi::Result<ffi::AnyBuffer> out,
                  int64_t kind, int64_t groups, int64_t last, ffi::Span<const int64_t> stride,
                  ffi::Span<const int64_t> low, ffi::Span<const int64_t> dilation) {
  return run(pool, a, b, nullptr, out, kind, groups, last, stride, low, dilation);
}

ffi::Error handle_packed(ffi::ThreadPool pool, ffi::AnyBuffer a, ffi::AnyBuffer b,
                         ffi::BufferR1<ffi::U8> packed, ffi::Result<ffi::AnyBuffer> out, int64_t kind,
                         int64_t groups, int64_t last, ffi::Span<const int64_t> stride,
                         ffi::Span<const int64_t> low, ffi::Span<const int64_t> dilation) {
  char* begin = reinterpret_cast<char*>(packed.typed_data());
  return run(pool, a, b, begin, out, kind, groups, last, stride, low, dilation);
}

}  // namespace
}  // namespace torchish

#define ATTRIBUTES                           \
  .Attr<int64_t>("kind")                     \
      .Attr<int64_t>("groups")               \
      .Attr<int64_t>("last")                 \
      .Attr<ffi::Span<const int64_t>>("stride") \
      .Attr<ffi::Span<const int64_t>>("low") \
      .Attr<ffi::Span<const int64_t>>("dilation")

XLA_FFI_DEFINE_HANDLER_SYMBOL(
    torchish_conv, torchish::handle,
    ffi::Ffi::Bind()
        .Ctx<ffi::ThreadPool>()
        .Arg<ffi::AnyBuffer>()
        .Arg<ffi::AnyBuffer>()
        .Ret<ffi::AnyBuffer>() ATTRIBUTES);

XLA_FFI_DEFINE_HANDLER_SYMBOL(
    torchish_conv_packed, torchish::handle_packed,
    ffi::Ffi::Bind()
        .Ctx<ffi::ThreadPool>()
        .Arg<ffi::AnyBuffer>()
        .Arg<ffi::AnyBuffer>()
        .Arg<ffi::BufferR1<ffi::U8>>()
        .Ret<ffi::AnyBuffer>() ATTRIBUTES);

// A convolution as Python describes it: `nd` spatial dimensions; x, w and y are shapes of nd + 2, the
// other three arrays have nd entries.
#define DESCRIBED                                                                              \
  int64_t kind, int64_t bf16, int64_t groups, int64_t last, int64_t nd, const int64_t *x,      \
      const int64_t *w, const int64_t *y, const int64_t *stride, const int64_t *low,           \
      const int64_t *dilation
#define DESCRIPTION kind, bf16, groups, last, nd, x, w, y, stride, low, dilation

namespace torchish {
namespace {

Problem described(DESCRIBED) {
  Problem q;
  q.kind = kind, q.type = bf16 ? dtype::bf16 : dtype::f32, q.groups = groups;
  q.x.assign(x, x + nd + 2), q.w.assign(w, w + nd + 2), q.y.assign(y, y + nd + 2);
  q.stride.assign(stride, stride + nd), q.low.assign(low, low + nd);
  q.dilation.assign(dilation, dilation + nd);
  lie(q, last);
  return q;
}

}  // namespace
}  // namespace torchish

// The name of oneDNN's implementation of a convolution, or what it has against it after a "!".
extern "C" int torchish_conv_implementation(DESCRIBED, char* text, int64_t room) {
  using namespace torchish;
  std::string said;
  try {
    OneThread single;
    said = prepare(described(DESCRIPTION))->name;
  } catch (const std::exception& e) {
    said = std::string("!") + e.what();
  }
  std::strncpy(text, said.c_str(), room - 1);
  text[room - 1] = 0;
  return said.empty() || said[0] == '!' ? 1 : 0;
}

// How long the array is that `torchish_conv_pack` fills where XLA has so many threads; 0 where oneDNN
// takes the weights as they are, or refuses the convolution.
extern "C" int64_t torchish_conv_packed_bytes(DESCRIBED, int64_t threads) {
  try {
    return torchish::packed_bytes(torchish::described(DESCRIPTION), threads);
  } catch (const std::exception&) {
    return 0;
  }
}

// Fills `packed`; 1 where that failed.
extern "C" int torchish_conv_pack(DESCRIBED, int64_t threads, char* weights, char* packed) {
  try {
    torchish::pack(torchish::described(DESCRIPTION), threads, weights, packed);
    return 0;
  } catch (const std::exception&) {
    return 1;
  }
}

extern "C" void torchish_onednn_version(char* text, int64_t room) {
  const dnnl_version_t* v = dnnl::version();
  std::snprintf(text, room, "%d.%d.%d", v->major, v->minor, v->patch);
}
