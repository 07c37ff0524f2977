// What handlers of XLA's foreign function interface share.
#pragma once

#include <exception>
#include <string>

#include "xla/ffi/api/ffi.h"

namespace torchish {

// Runs the body of a handler: what it throws is an error of the program, in the name of `what`.
template <typename Body>
xla::ffi::Error guarded(const char* what, Body&& body) {
  try {
    body();
    return xla::ffi::Error::Success();
  } catch (const std::exception& e) {
    return xla::ffi::Error(xla::ffi::ErrorCode::kInternal, std::string(what) + ": " + e.what());
  }
}

}  // namespace torchish
