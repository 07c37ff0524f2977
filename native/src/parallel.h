// Parts of one call on XLA's own pool of threads.
//
// The caller works too, and waits only for parts that another thread has begun: a pool whose
// threads are all busy, or all waiting here, therefore never blocks a call.
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>

#include "xla/ffi/api/ffi.h"

extern "C" {
int omp_get_max_threads(void);
void omp_set_num_threads(int);
}

namespace torchish {

// oneDNN asks OpenMP how many threads it may use; here a primitive has the one that calls it.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) {
    if (before_ != 1) omp_set_num_threads(1);
  }
  ~OneThread() {
    if (before_ != 1) omp_set_num_threads(before_);
  }
  OneThread(const OneThread&) = delete;

 private:
  int before_;
};

struct Parts {
  std::atomic<int64_t> next{0};
  int64_t count, done = 0;
  void (*body)(void*, int64_t);
  void* context;
  std::mutex lock;
  std::condition_variable finished;
  std::exception_ptr error;

  void work() {
    for (;;) {
      int64_t part = next.fetch_add(1);
      if (part >= count) return;
      std::exception_ptr failure;
      try {
        OneThread single;
        body(context, part);
      } catch (...) {
        failure = std::current_exception();
      }
      std::lock_guard<std::mutex> guard(lock);
      if (failure) error = failure;
      if (++done == count) finished.notify_all();
    }
  }
};

// body(0) ... body(count - 1), each once; rethrows what one of them threw.
template <typename Body>
void for_parts(xla::ffi::ThreadPool& pool, int64_t count, Body&& body) {
  if (count <= 1) {
    OneThread single;
    if (count == 1) body(0);
    return;
  }
  auto parts = std::make_shared<Parts>();
  parts->count = count;
  parts->context = &body;
  parts->body = [](void* context, int64_t part) {
    (*static_cast<std::remove_reference_t<Body>*>(context))(part);
  };
  for (int64_t k = 1; k < count; ++k) pool.Schedule([parts] { parts->work(); });
  parts->work();
  std::unique_lock<std::mutex> guard(parts->lock);
  parts->finished.wait(guard, [&] { return parts->done == count; });
  if (parts->error) std::rethrow_exception(parts->error);
}

inline int64_t threads_of(xla::ffi::ThreadPool& pool) {
  int64_t count = pool.num_threads();
  return count < 1 ? 1 : count;
}

}  // namespace torchish
