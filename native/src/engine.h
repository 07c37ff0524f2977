// The one engine of oneDNN in this process: primitives, memory and streams must share theirs.
#pragma once

#include "oneapi/dnnl/dnnl.hpp"

namespace torchish {

inline dnnl::engine& engine() {
  static dnnl::engine* made = new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return *made;
}

}  // namespace torchish
