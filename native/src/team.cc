// Threads that help with the parts of a call, and stay awake for a moment afterwards.
//
// Waking a thread of XLA's pool costs the caller 15 microseconds and it comes 25 later (a virtual
// machine of two cores), as long as a small product takes. A helper looks for the next part for a
// third of a millisecond before it sleeps, and yields to whoever wants its core meanwhile; one whose
// core a script needs to record sleeps at once. That is for programs whose other loops run on one
// thread (torchish/_ops/rewrites/awake.py): where XLA's own threads work between two calls, a helper
// stands in their way. One that is busy, asleep or missing (after a fork) blocks nobody: the caller
// does what others have not begun.
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "parallel.h"

namespace torchish {
namespace {

constexpr int64_t MOST_HELPERS = 255, TURNS = 300, PAUSES = 16;  // a turn is about a microsecond

class Helper {
 public:
  // Hands over a call, unless the helper has one already.
  void offer(const std::shared_ptr<Parts>& parts) {
    auto* job = new std::shared_ptr<Parts>(parts);
    std::shared_ptr<Parts>* none = nullptr;
    if (!box_.compare_exchange_strong(none, job)) {
      delete job;
      return;
    }
    if (!asleep_.load()) return;
    std::lock_guard<std::mutex> guard(lock_);
    wake_.notify_one();
  }

  // `number`: so many others come before it where there are too few cores.
  [[noreturn]] void run(int64_t number, const std::atomic<int64_t>& most) {
    for (int64_t turn = 0;;) {
      if (box_.load(std::memory_order_relaxed) != nullptr) {
        std::unique_ptr<std::shared_ptr<Parts>> job(box_.exchange(nullptr));
        (*job)->work();
        turn = 0;
      } else if (++turn < TURNS && number < most.load(std::memory_order_relaxed)) {
        for (int64_t k = 0; k < PAUSES && box_.load(std::memory_order_relaxed) == nullptr; ++k) pause();
        sched_yield();
      } else {
        sleep();
        turn = 0;
      }
    }
  }

 private:
  // `asleep_` is set before the box is looked at, and a caller fills the box before it looks at
  // `asleep_`: one of the two sees the other.
  void sleep() {
    std::unique_lock<std::mutex> guard(lock_);
    asleep_.store(true);
    wake_.wait(guard, [&] { return box_.load() != nullptr; });
    asleep_.store(false);
  }

  alignas(64) std::atomic<std::shared_ptr<Parts>*> box_{nullptr};
  std::atomic<bool> asleep_{false};
  std::mutex lock_;
  std::condition_variable wake_;
};

// The helpers of this process, started when first wanted; never destroyed, they run until the end.
class Team {
 public:
  void offer(const std::shared_ptr<Parts>& parts, int64_t wanted, int64_t most) {
    most_.store(most, std::memory_order_relaxed);
    wanted = std::min(wanted, MOST_HELPERS);
    if (started_.load(std::memory_order_acquire) < wanted) start(wanted);
    int64_t there = std::min(wanted, started_.load(std::memory_order_acquire));
    for (int64_t k = 0; k < there; ++k) helpers_[k]->offer(parts);
  }

 private:
  void start(int64_t wanted) {
    std::lock_guard<std::mutex> guard(lock_);
    try {
      for (int64_t k = started_.load(); k < wanted; ++k) {
        auto* helper = new Helper;
        std::thread([helper, k, this] { helper->run(k, most_); }).detach();
        helpers_[k] = helper;
        started_.store(k + 1, std::memory_order_release);
      }
    } catch (const std::system_error&) {  // no more threads: those that are there do
    }
  }

  std::mutex lock_;
  std::atomic<int64_t> started_{0}, most_{0};
  Helper* helpers_[MOST_HELPERS] = {};
};

std::atomic<int64_t> recording{0};

}  // namespace

int64_t scripts() { return recording.load(std::memory_order_relaxed); }

void offer(const std::shared_ptr<Parts>& parts, int64_t helpers, int64_t most) {
  static auto* team = new Team;
  team->offer(parts, helpers, most);
}

}  // namespace torchish

// A thread of the script records from now on (1) or no longer (-1) while its program runs.
extern "C" __attribute__((visibility("default"))) void torchish_script(int64_t change) {
  torchish::recording.fetch_add(change, std::memory_order_relaxed);
}
