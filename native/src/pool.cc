// The maximum of sliding windows with its place, and the gradient, as two XLA FFI handlers.
//
//   forward:  x (rows, size...) -> best (rows, output...), place (rows, output...)
//   gradient: g (rows, output...), place -> dx (rows, size...), sums of g at its places
//
// Up to three spatial dimensions; places are flat indices into them. The first of equal elements
// wins, a NaN wins over what came before it, and margins never do. Rows are cut over the threads.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <vector>

#include "handlers.h"
#include "parallel.h"
#include "processor.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace torchish {
namespace {

using Floats = ffi::Buffer<ffi::F32>;
using Places = ffi::Buffer<ffi::S32>;
using Numbers = ffi::Span<const int64_t>;

constexpr double COST_OF_TAP = 16;  // in multiplications of a matrix product

struct Dimension {
  int64_t size = 1, output = 1, kernel = 1, stride = 1, padding = 0, dilation = 1;

  int64_t at(int64_t window, int64_t tap) const { return window * stride - padding + tap * dilation; }
  bool has(int64_t window, int64_t tap) const { return at(window, tap) >= 0 && at(window, tap) < size; }
  // The first tap of a window inside the array; `kernel` if none is.
  int64_t first(int64_t window) const {
    int64_t tap = 0;
    while (tap < kernel && at(window, tap) < 0) ++tap;
    return has(window, tap) ? tap : kernel;
  }
  // The windows whose tap lies inside: from the first to before the second.
  std::pair<int64_t, int64_t> windows(int64_t tap) const {
    int64_t start = 0, end = output;
    while (start < end && at(start, tap) < 0) ++start;
    while (end > start && at(end - 1, tap) >= size) --end;
    return {start, end};
  }
};

struct Windows {
  Dimension d[3];

  int64_t inputs() const { return d[0].size * d[1].size * d[2].size; }
  int64_t outputs() const { return d[0].output * d[1].output * d[2].output; }
  int64_t taps() const { return d[0].kernel * d[1].kernel * d[2].kernel; }
};

Windows windows_of(Numbers size, Numbers output, Numbers kernel, Numbers stride, Numbers padding,
                   Numbers dilation) {
  Windows w;
  size_t nd = size.size();
  if (nd < 1 || nd > 3) throw std::invalid_argument("one to three dimensions are needed");
  for (Numbers n : {output, kernel, stride, padding, dilation})
    if (n.size() != nd) throw std::invalid_argument("lengths differ");
  for (size_t k = 0; k < nd; ++k) {
    Dimension& d = w.d[3 - nd + k];
    d = {size[k], output[k], kernel[k], stride[k], padding[k], dilation[k]};
    bool bad = d.size < 1 || d.output < 1 || d.kernel < 1 || d.stride < 1 || d.dilation < 1 || d.padding < 0;
    if (bad) throw std::invalid_argument("malformed windows");
    for (int64_t o : {int64_t{0}, d.output - 1})
      if (d.first(o) == d.kernel) throw std::invalid_argument("a window outside the array");
  }
  return w;
}

// One tap along a row of outputs: whoever is larger takes the place.
FOR_EACH_PROCESSOR void contend(int64_t count, int64_t stride, const float* __restrict from, int32_t place,
                                float* __restrict best, int32_t* __restrict places) {
  for (int64_t k = 0; k < count; ++k) {
    float v = from[k * stride];
    bool wins = v > best[k] || v != v;
    best[k] = wins ? v : best[k];
    places[k] = wins ? place + static_cast<int32_t>(k * stride) : places[k];
  }
}

void row_of_outputs(const Windows& w, const float* x, int64_t a, int64_t b, float* best, int32_t* places) {
  const Dimension &d0 = w.d[0], &d1 = w.d[1], &d2 = w.d[2];
  int64_t i0 = d0.at(a, d0.first(a)), i1 = d1.at(b, d1.first(b));
  for (int64_t c = 0; c < d2.output; ++c) {
    best[c] = -std::numeric_limits<float>::infinity();
    places[c] = static_cast<int32_t>((i0 * d1.size + i1) * d2.size + d2.at(c, d2.first(c)));
  }
  for (int64_t ka = 0; ka < d0.kernel; ++ka) {
    if (!d0.has(a, ka)) continue;
    for (int64_t kb = 0; kb < d1.kernel; ++kb) {
      if (!d1.has(b, kb)) continue;
      int64_t row = (d0.at(a, ka) * d1.size + d1.at(b, kb)) * d2.size;
      for (int64_t kc = 0; kc < d2.kernel; ++kc) {
        auto [start, end] = d2.windows(kc);
        int64_t at = row + d2.at(start, kc);
        if (end > start)
          contend(end - start, d2.stride, x + at, static_cast<int32_t>(at), best + start, places + start);
      }
    }
  }
}

ffi::Error forward(ffi::ThreadPool pool, Floats x, ffi::Result<Floats> best, ffi::Result<Places> places,
                   Numbers size, Numbers output, Numbers kernel, Numbers stride, Numbers padding,
                   Numbers dilation) {
  return guarded("max pooling", [&] {
    Windows w = windows_of(size, output, kernel, stride, padding, dilation);
    int64_t in = w.inputs(), out = w.outputs(), rows = x.element_count() / in;
    bool fits = static_cast<int64_t>(x.element_count()) == rows * in &&
                static_cast<int64_t>(best->element_count()) == rows * out &&
                static_cast<int64_t>(places->element_count()) == rows * out;
    if (!fits) throw std::invalid_argument("shapes do not fit");
    const float* px = x.typed_data();
    float* pb = best->typed_data();
    int32_t* pp = places->typed_data();
    int64_t parts = std::min(parts_for(pool, COST_OF_TAP * rows * out * w.taps(), 4), rows);
    for_pieces(pool, parts, rows, 1, [&](int64_t from, int64_t to) {
      for (int64_t r = from; r < to; ++r)
        for (int64_t a = 0; a < w.d[0].output; ++a)
          for (int64_t b = 0; b < w.d[1].output; ++b) {
            int64_t at = r * out + (a * w.d[1].output + b) * w.d[2].output;
            row_of_outputs(w, px + r * in, a, b, pb + at, pp + at);
          }
    });
  });
}

ffi::Error gradient(ffi::ThreadPool pool, Floats g, Places places, ffi::Result<Floats> dx, int64_t inputs) {
  return guarded("max pooling", [&] {
    int64_t in = inputs, rows = in < 1 ? 0 : dx->element_count() / in;
    int64_t out = rows < 1 ? 0 : g.element_count() / rows;
    bool fits = rows * in == static_cast<int64_t>(dx->element_count()) &&
                rows * out == static_cast<int64_t>(g.element_count()) && g.element_count() == places.element_count();
    if (!fits) throw std::invalid_argument("shapes do not fit");
    const float* pg = g.typed_data();
    const int32_t* pp = places.typed_data();
    float* pd = dx->typed_data();
    int64_t parts = std::min(parts_for(pool, COST_OF_TAP * rows * (out + in / 8), 4), rows);
    for_pieces(pool, parts, rows, 1, [&](int64_t from, int64_t to) {
      for (int64_t r = from; r < to; ++r) {
        std::memset(pd + r * in, 0, in * sizeof(float));
        for (int64_t k = r * out; k < (r + 1) * out; ++k) {
          if (pp[k] < 0 || pp[k] >= in) throw std::invalid_argument("a place outside the array");
          pd[r * in + pp[k]] += pg[k];
        }
      }
    });
  });
}

}  // namespace
}  // namespace torchish

XLA_FFI_DEFINE_HANDLER_SYMBOL(torchish_max_pool, torchish::forward,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<torchish::Floats>()
                                  .Ret<torchish::Floats>()
                                  .Ret<torchish::Places>()
                                  .Attr<torchish::Numbers>("size")
                                  .Attr<torchish::Numbers>("output")
                                  .Attr<torchish::Numbers>("kernel")
                                  .Attr<torchish::Numbers>("stride")
                                  .Attr<torchish::Numbers>("padding")
                                  .Attr<torchish::Numbers>("dilation"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(torchish_max_pool_gradient, torchish::gradient,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<torchish::Floats>()
                                  .Arg<torchish::Places>()
                                  .Ret<torchish::Floats>()
                                  .Attr<int64_t>("inputs"));
