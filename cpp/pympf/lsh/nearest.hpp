// The k nearest of the points that are offered, ties by index; so the result does not depend on the
// order in which they come.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace pympf::lsh {

// (distance, index), in the order of results.
template <class T>
using Neighbor = std::pair<T, std::int64_t>;

template <class T>
class Nearest {
 public:
  void start(std::size_t k) {
    k_ = k;
    heap_.clear();
  }
  void offer(T distance, std::int64_t index) {
    if (heap_.size() < k_) {
      heap_.emplace_back(distance, index);
      std::push_heap(heap_.begin(), heap_.end());
    } else if (k_ > 0 && Neighbor<T>(distance, index) < heap_.front()) {
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.back() = {distance, index};
      std::push_heap(heap_.begin(), heap_.end());
    }
  }
  // Nearest first.
  const std::vector<Neighbor<T>>& sorted() {
    std::sort_heap(heap_.begin(), heap_.end());
    return heap_;
  }

 private:
  std::size_t k_ = 0;
  std::vector<Neighbor<T>> heap_;  // the farthest in front
};

}  // namespace pympf::lsh
