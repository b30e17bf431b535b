// Lends objects, so that a const object that needs room to work in can be used by several threads
// and allocates only at first.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace pympf {

template <class W>
class Pool {
 public:
  Pool() : make_([] { return std::make_unique<W>(); }) {}
  explicit Pool(std::function<std::unique_ptr<W>()> make) : make_(std::move(make)) {}

  class Lease {
   public:
    explicit Lease(Pool& pool) : pool_(pool), object_(pool.take()) {}
    ~Lease() { pool_.give(std::move(object_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    W* operator->() const { return object_.get(); }
    W& operator*() const { return *object_; }

   private:
    Pool& pool_;
    std::unique_ptr<W> object_;
  };

 private:
  std::unique_ptr<W> take() {
    {
      const std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        auto last = std::move(free_.back());
        free_.pop_back();
        return last;
      }
    }
    return make_();
  }
  void give(std::unique_ptr<W> object) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(object));
  }

  std::function<std::unique_ptr<W>()> make_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<W>> free_;
};

}  // namespace pympf
