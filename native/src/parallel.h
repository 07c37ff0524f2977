// Parts of one call on XLA's own pool of threads.
//
// The caller works too, and waits only for parts that another thread has begun: a pool whose
// threads are all busy, or all waiting here, therefore never blocks a call.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
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

// XLA's programs take numbers below the normal ones for zero, on their own threads. Parts do so on
// whichever thread they run: results must not depend on that, and such numbers are slow.
class FlushesDenormals {
 public:
#if defined(__x86_64__)
  FlushesDenormals() : before_(__builtin_ia32_stmxcsr()) { __builtin_ia32_ldmxcsr(before_ | 0x8040); }
  ~FlushesDenormals() { __builtin_ia32_ldmxcsr(before_); }
#else
  FlushesDenormals() = default;
#endif
  FlushesDenormals(const FlushesDenormals&) = delete;

 private:
  [[maybe_unused]] unsigned before_ = 0;
};

constexpr int64_t SPINS = 1000;  // tens of microseconds

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

struct Parts {
  std::atomic<int64_t> next{0};
  std::atomic<int64_t> done{0};
  int64_t count;
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
        FlushesDenormals flushes;
        body(context, part);
      } catch (...) {
        failure = std::current_exception();
      }
      if (failure) {
        std::lock_guard<std::mutex> guard(lock);
        error = failure;
      }
      if (done.fetch_add(1) + 1 == count) {
        std::lock_guard<std::mutex> guard(lock);
        finished.notify_all();
      }
    }
  }

  // Parts are of like length: the last one mostly ends before a sleeping thread would wake.
  void wait() {
    for (int64_t turn = 0; turn < SPINS; ++turn) {
      if (done.load() == count) return;
      pause();
    }
    std::unique_lock<std::mutex> guard(lock);
    finished.wait(guard, [&] { return done.load() == count; });
  }
};

inline int64_t threads_of(xla::ffi::ThreadPool& pool) {
  return std::max<int64_t>(pool.num_threads(), 1);
}

// How many threads of the script record while programs run: they want cores of their own (team.cc).
int64_t scripts();

// Has that many helpers work at parts too, if they are free (team.cc). `most`: how many there are
// cores for at the moment.
void offer(const std::shared_ptr<Parts>& parts, int64_t helpers, int64_t most);

// body(0) ... body(count - 1), each once; rethrows what one of them threw. On XLA's threads, or on
// helpers that stay awake for the next call.
template <typename Body>
void for_parts(xla::ffi::ThreadPool& pool, int64_t count, Body&& body, bool awake = false) {
  if (count <= 1) {
    OneThread single;
    FlushesDenormals flushes;
    if (count == 1) body(0);
    return;
  }
  auto parts = std::make_shared<Parts>();
  parts->count = count;
  parts->context = &body;
  parts->body = [](void* context, int64_t part) {
    (*static_cast<std::remove_reference_t<Body>*>(context))(part);
  };
  // Waking a thread costs the caller some 15 microseconds: one each, however many parts there are.
  // One that has begun a part and loses its core to the script would keep the others waiting.
  int64_t most = std::max<int64_t>(threads_of(pool) - scripts() - 1, 0);
  int64_t helpers = std::min<int64_t>(count - 1, most);
  if (awake) offer(parts, helpers, most);
  else for (int64_t k = 0; k < helpers; ++k) pool.Schedule([parts] { parts->work(); });
  parts->work();
  parts->wait();
  if (parts->error) std::rethrow_exception(parts->error);
}

// How many parts pay for so many multiplications, at most `each` a thread. A thread that sleeps comes
// some 50 microseconds late: where parts cost nothing of their own there are more of them than
// threads, so that whoever is there goes on meanwhile.
inline int64_t parts_for(int64_t threads, double products, int64_t each = 1) {
  constexpr double SMALLEST = 2e6;  // below, a second thread costs more than it brings
  int64_t most = threads == 1 ? 1 : each * threads;
  return std::max<int64_t>(1, std::min<int64_t>(most, static_cast<int64_t>(products / SMALLEST)));
}

inline int64_t parts_for(xla::ffi::ThreadPool& pool, double products, int64_t each = 1) {
  return parts_for(threads_of(pool), products, each);
}

// Start of piece k of n things in `parts` pieces, cut at multiples of `unit`.
inline int64_t start_of(int64_t k, int64_t parts, int64_t n, int64_t unit) {
  int64_t units = (n + unit - 1) / unit;
  return std::min(n, units * k / parts * unit);
}

// body(from, to) for pieces of n things, one a part.
template <typename Body>
void for_pieces(xla::ffi::ThreadPool& pool, int64_t parts, int64_t n, int64_t unit, Body&& body,
                bool awake = false) {
  for_parts(
      pool, parts,
      [&](int64_t k) { body(start_of(k, parts, n, unit), start_of(k + 1, parts, n, unit)); }, awake);
}

}  // namespace torchish
