// Convolutions of small images with many weights, as one matrix product for the whole batch.
//
// The weights' gradient is   w (O, C K) = y (O, N P) cols^T,   with K taps of the kernel, P positions
// of an image of the output and cols (C K, N P), the input under each tap at each position. oneDNN's
// kernel goes through an image at a time and puts the gradient into another order at the end: where
// an image has 16 positions that takes longer than the whole product, which writes it as it lies.
// (Forward and for the input's gradient oneDNN's kernels are as fast, up to 30 % faster.)
// A kernel that covers the whole image makes all three maps plain products.
#include "small_images.h"

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

constexpr int64_t MOST_POSITIONS = 16;
constexpr double FEWEST_PRODUCTS = 1 << 21, MOST_COLUMNS = 1 << 24;

int64_t taps(const Problem& q) { return elements(q.w) / (q.w[0] * q.w[1]); }

// Whether the kernel covers the whole image: then the images themselves are the columns.
bool covers(const Problem& q) {
  for (size_t d = 0; d < q.stride.size(); ++d)
    if (q.w[d + 2] != q.x[d + 2] || q.low[d] != 0 || (q.dilation[d] != 1 && q.w[d + 2] != 1)) return false;
  return positions(q) == 1;
}

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

// One position an image: x (N, C K), w (O, C K) and y (N, O) are matrices as they lie.
void covering(ffi::ThreadPool& pool, const Problem& q, float* x, float* w, float* y) {
  int64_t n = q.x[0], o = q.y[1], r = q.x[1] * taps(q);
  if (q.kind == FORWARD) multiply(pool, Gemm{n, o, r, false, true, r, r, o}, x, w, y);
  else if (q.kind == INPUT_GRAD) multiply(pool, Gemm{n, r, o, false, false, o, r, r}, y, w, x);
  else multiply(pool, Gemm{o, r, n, true, false, o, r, r}, y, x, w);
}

}  // namespace

bool is_product(const Problem& q) {
  if (q.type != dtype::f32 || q.groups != 1 || q.xs.back() != 1 || q.ys.back() != 1) return false;
  if (products(q) < FEWEST_PRODUCTS || positions(q) > MOST_POSITIONS) return false;
  if (covers(q)) return true;
  double cols = static_cast<double>(q.x[1]) * taps(q) * q.x[0] * positions(q);
  return q.kind == WEIGHT_GRAD && cols <= MOST_COLUMNS;
}

void convolve_as_product(ffi::ThreadPool& pool, const Problem& q, float* x, float* w, float* y) {
  if (covers(q)) covering(pool, q, x, w, y);
  else weight_gradient(pool, q, x, w, y);
}

}  // namespace torchish
