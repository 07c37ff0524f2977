// Products of stacks of float matrices, as an XLA FFI handler.
//
//   c (..., m, n) = a (..., m, k) b (..., k, n);   with `turned_a` a is (..., k, m), so for b
//
// A stack is cut over the threads of XLA's pool by its matrices, a single product by the longer side
// of the result.
#include <algorithm>
#include <cstdint>
#include <stdexcept>

#include "gemm.h"
#include "handlers.h"
#include "parallel.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace torchish {
namespace {

using Floats = ffi::Buffer<ffi::F32>;

struct Sides {
  int64_t rows, columns, count = 1;
};

Sides sides_of(const Floats& x) {
  auto shape = x.dimensions();
  Sides s{shape[shape.size() - 2], shape[shape.size() - 1]};
  for (size_t d = 0; d + 2 < shape.size(); ++d) s.count *= shape[d];
  return s;
}

ffi::Error handle(ffi::ThreadPool pool, Floats a, Floats b, ffi::Result<Floats> c, int64_t turned_a,
                  int64_t turned_b, int64_t awake) {
  return guarded("matrix product", [&] {
    if (a.dimensions().size() < 2 || b.dimensions().size() < 2 || c->dimensions().size() < 2)
      throw std::invalid_argument("matrices are needed");
    Sides sa = sides_of(a), sb = sides_of(b), sc = sides_of(*c);
    int64_t inner = turned_a ? sa.rows : sa.columns;
    bool fits = (turned_a ? sa.columns : sa.rows) == sc.rows && (turned_b ? sb.columns : sb.rows) == inner &&
                (turned_b ? sb.rows : sb.columns) == sc.columns && sa.count == sc.count && sb.count == sc.count;
    if (!fits) throw std::invalid_argument("shapes do not fit");
    Gemm g{sc.rows, sc.columns, inner, turned_a != 0, turned_b != 0, sa.columns, sb.columns, sc.columns};
    const float *pa = a.typed_data(), *pb = b.typed_data();
    float* pc = c->typed_data();
    if (sc.count == 1) return multiply(pool, g, pa, pb, pc, awake != 0);
    auto some = [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i)
        multiply(g, pa + i * sa.rows * sa.columns, pb + i * sb.rows * sb.columns, pc + i * g.m * g.n);
    };
    int64_t parts = std::min(parts_for(pool, products(g) * sc.count), sc.count);
    for_pieces(pool, parts, sc.count, 1, some, awake != 0);
  });
}

}  // namespace
}  // namespace torchish

XLA_FFI_DEFINE_HANDLER_SYMBOL(torchish_matmul, torchish::handle,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<torchish::Floats>()
                                  .Arg<torchish::Floats>()
                                  .Ret<torchish::Floats>()
                                  .Attr<int64_t>("turned_a")
                                  .Attr<int64_t>("turned_b")
                                  .Attr<int64_t>("awake"));
