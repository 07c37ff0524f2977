// Convolutions that are computed as plain matrix products: oneDNN's kernels put their operands into
// another order first and the result back, which for these takes longer than the product itself.
//
// 1. One or two taps, stride 1, no margins: for each image, y (O, P) is the sum over taps of
//    w_tap (O, C) x (C, P columns from the tap's shift on). Pointwise convolutions take half of
//    oneDNN's time where images have 256 positions or more.
// 2. Weight gradients of small images: w (O, C K) = y (O, N P) cols^T with cols (C K, N P), the input
//    under each of K taps at each of P positions. oneDNN's kernel goes through an image at a time.
//    (Forward and for the input's gradient it is as fast, up to 30 % faster.)
#include "conv_products.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "gemm.h"
#include "parallel.h"
#include "processor.h"

namespace ffi = xla::ffi;

namespace torchish {
namespace {

constexpr int64_t MOST_POSITIONS = 16;                       // of a small image
constexpr int64_t LONG = 256, LONG_FOR_WEIGHTS = 32, CHANNELS = 16;  // of products with shifts
constexpr double FEWEST_PRODUCTS = 1 << 20, MOST_COLUMNS = 1 << 24;

int64_t taps(const Problem& q) { return elements(q.w) / (q.w[0] * q.w[1]); }

// Images with their margins, so that every tap of every position lies in them.
struct Padded {
  dims shape, steps;  // spatial
  int64_t plane = 1;
  std::vector<int32_t> tap, position;  // offsets in a plane

  explicit Padded(const Problem& q) {
    size_t nd = q.stride.size();
    steps.assign(nd, 1);
    for (size_t d = 0; d < nd; ++d)
      shape.push_back((q.y[d + 2] - 1) * q.stride[d] + q.dilation[d] * (q.w[d + 2] - 1) + 1);
    for (size_t d = nd - 1; d > 0; --d) steps[d - 1] = steps[d] * shape[d];
    plane = steps[0] * shape[0];
    tap = offsets(q.w, q.dilation);
    position = offsets(q.y, q.stride);
  }

  // Where each index of the spatial dimensions of `sizes` lies, with `strides` between neighbours.
  std::vector<int32_t> offsets(const dims& sizes, const dims& strides) const {
    std::vector<int32_t> made{0};
    for (size_t d = 0; d < strides.size(); ++d) {
      std::vector<int32_t> next;
      for (int32_t before : made)
        for (int64_t i = 0; i < sizes[d + 2]; ++i)
          next.push_back(before + static_cast<int32_t>(i * strides[d] * steps[d]));
      made.swap(next);
    }
    return made;
  }

  // One image of one channel: what of it lies within the padded extent, zeros around it.
  void copy(const Problem& q, const float* from, float* to) const {
    std::memset(to, 0, plane * sizeof(float));
    copy(q, 0, from, to);
  }

 private:
  void copy(const Problem& q, size_t d, const float* from, float* to) const {
    int64_t count = std::min(q.x[d + 2], shape[d] - q.low[d]), step = 1;
    for (size_t e = d + 3; e < q.x.size(); ++e) step *= q.x[e];
    to += q.low[d] * steps[d];
    if (d + 1 == shape.size()) {
      if (count > 0) std::memcpy(to, from, count * sizeof(float));
      return;
    }
    for (int64_t i = 0; i < count; ++i) copy(q, d + 1, from + i * step, to + i * steps[d]);
  }
};

FOR_EACH_PROCESSOR void gather(const float* from, const int32_t* at, int64_t count, float* to) {
  for (int64_t p = 0; p < count; ++p) to[p] = from[at[p]];
}

std::unique_ptr<float[]> floats(int64_t count) { return std::unique_ptr<float[]>(new float[count]); }

// cols (C K, N P), in pieces of the channels.
std::unique_ptr<float[]> columns(ffi::ThreadPool& pool, const Problem& q, const float* x) {
  Padded padded(q);
  int64_t n = q.x[0], channels = q.x[1], image = elements(q.x) / (n * channels), k = taps(q), p = positions(q);
  auto cols = floats(channels * k * n * p);
  int64_t parts = std::min(parts_for(pool, 4.0 * channels * k * n * p), channels);
  for_parts(pool, parts, [&](int64_t part) {
    std::vector<float> planes(n * padded.plane);
    for (int64_t c = start_of(part, parts, channels, 1); c < start_of(part + 1, parts, channels, 1); ++c) {
      for (int64_t i = 0; i < n; ++i)
        padded.copy(q, x + (i * channels + c) * image, planes.data() + i * padded.plane);
      float* to = cols.get() + c * k * n * p;
      for (int32_t tap : padded.tap)
        for (int64_t i = 0; i < n; ++i, to += p)
          gather(planes.data() + i * padded.plane + tap, padded.position.data(), p, to);
    }
  });
  return cols;
}

// y (N, O, P) as (O, N P).
void join(const Problem& q, const float* y, float* rows) {
  int64_t n = q.y[0], channels = q.y[1], p = positions(q);
  for (int64_t o = 0; o < channels; ++o)
    for (int64_t i = 0; i < n; ++i)
      std::memcpy(rows + (o * n + i) * p, y + (i * channels + o) * p, p * sizeof(float));
}

void weight_gradient(ffi::ThreadPool& pool, const Problem& q, const float* x, float* w, const float* y) {
  int64_t n = q.x[0], o = q.y[1], r = q.x[1] * taps(q), np = n * positions(q);
  auto cols = columns(pool, q, x);
  auto rows = floats(o * np);
  join(q, y, rows.get());
  multiply(pool, Gemm{o, r, np, false, true, np, np, r}, rows.get(), cols.get(), w);
}

// --- one or two taps --------------------------------------------------------------------------------

// Whether each tap reads the image shifted by a number of columns.
bool is_shifted(const Problem& q) {
  int64_t k = taps(q);
  if (k > 2 || (k == 2 && q.stride.size() != 1)) return false;
  for (size_t d = 0; d < q.stride.size(); ++d) {
    int64_t reach = q.dilation[d] * (q.w[d + 2] - 1);
    if (q.stride[d] != 1 || q.low[d] != 0 || q.y[d + 2] + reach != q.x[d + 2]) return false;
  }
  int64_t least = q.kind == WEIGHT_GRAD && k == 1 ? LONG_FOR_WEIGHTS : LONG;
  return q.x[1] >= CHANNELS && q.y[1] >= CHANNELS && positions(q) >= least;
}

// The weights of each tap as a matrix (O, C), from (O, C, K) or back.
void by_taps(float* apart, float* together, int64_t count, int64_t k, bool back) {
  for (int64_t i = 0; i < count; ++i)
    for (int64_t tap = 0; tap < k; ++tap) {
      float &a = apart[tap * count + i], &b = together[i * k + tap];
      if (back) b = a;
      else a = b;
    }
}

struct Shifted {
  int64_t n, c, o, k, length, p, shift;
  float *x, *w, *y;  // w by taps

  // The rows `from` to `to` of an image's result.
  void forward(int64_t image, int64_t from, int64_t to) const {
    for (int64_t tap = 0; tap < k; ++tap)
      multiply(Gemm{to - from, p, c, false, false, c, length, p, tap > 0}, w + (tap * o + from) * c,
               x + image * c * length + tap * shift, y + (image * o + from) * p);
  }

  void input_gradient(int64_t image, int64_t from, int64_t to) const {
    float* rows = x + (image * c + from) * length;
    if (k > 1) std::memset(rows, 0, (to - from) * length * sizeof(float));
    for (int64_t tap = 0; tap < k; ++tap)
      multiply(Gemm{to - from, p, o, true, false, c, p, length, k > 1}, w + tap * o * c + from,
               y + image * o * p, rows + tap * shift);
  }

  // The rows `from` to `to` of the gradient, for all images.
  void weight_gradient(int64_t from, int64_t to) const {
    for (int64_t image = 0; image < n; ++image)
      for (int64_t tap = 0; tap < k; ++tap)
        multiply(Gemm{to - from, c, p, false, true, p, length, c, image > 0}, y + (image * o + from) * p,
                 x + image * c * length + tap * shift, w + (tap * o + from) * c);
  }
};

void shifted(ffi::ThreadPool& pool, const Problem& q, float* x, float* w, float* y) {
  int64_t n = q.x[0], c = q.x[1], o = q.y[1], k = taps(q), p = positions(q), length = elements(q.x) / (n * c);
  auto apart = k > 1 ? floats(o * c * k) : nullptr;
  if (k > 1 && q.kind != WEIGHT_GRAD) by_taps(apart.get(), w, o * c, k, false);
  Shifted all{n, c, o, k, length, p, k > 1 ? q.dilation[0] : 0, x, k > 1 ? apart.get() : w, y};
  int64_t rows = q.kind == INPUT_GRAD ? c : o, images = q.kind == WEIGHT_GRAD ? 1 : n;
  int64_t wanted = parts_for(pool, products(q));
  int64_t cuts = std::min((wanted + images - 1) / images, (rows + 15) / 16);  // of an image's rows
  int64_t parts = std::min(wanted, images * cuts);
  for_parts(pool, parts, [&](int64_t part) {
    int64_t end = start_of(part + 1, parts, images * cuts, 1);
    for (int64_t i = start_of(part, parts, images * cuts, 1); i < end; ++i) {
      int64_t cut = i % cuts, from = start_of(cut, cuts, rows, 16), to = start_of(cut + 1, cuts, rows, 16);
      if (q.kind == FORWARD) all.forward(i / cuts, from, to);
      else if (q.kind == INPUT_GRAD) all.input_gradient(i / cuts, from, to);
      else all.weight_gradient(from, to);
    }
  });
  if (k > 1 && q.kind == WEIGHT_GRAD) by_taps(apart.get(), w, o * c, k, true);
}

}  // namespace

bool is_product(const Problem& q) {
  if (q.type != dtype::f32 || q.groups != 1 || q.xs.back() != 1 || q.ys.back() != 1) return false;
  if (products(q) < FEWEST_PRODUCTS) return false;
  if (is_shifted(q)) return true;
  if (positions(q) > MOST_POSITIONS) return false;
  double cols = static_cast<double>(q.x[1]) * taps(q) * q.x[0] * positions(q);
  return q.kind == WEIGHT_GRAD && cols <= MOST_COLUMNS;
}

void convolve_as_product(ffi::ThreadPool& pool, const Problem& q, float* x, float* w, float* y) {
  if (is_shifted(q)) shifted(pool, q, x, w, y);
  else weight_gradient(pool, q, x, w, y);
}

}  // namespace torchish
