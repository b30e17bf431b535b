#include "pympf/precond/choice/pay_as_you_go.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace pympf::precond {

void Forecast::add(const KrylovStep& step) {
  decreases_.push_back(step.decrease);
  residual_ = step.residual;
  target_ = step.target;
}

double Forecast::steps_left() const {
  if (residual_ <= target_) return 0;
  const std::ptrdiff_t third = std::max(1, steps() / 3);
  if (steps() < 2 * third) return std::numeric_limits<double>::infinity();
  const auto end = decreases_.end();
  const double last = std::accumulate(end - third, end, 0.0);
  const double before = std::accumulate(end - 2 * third, end - third, 0.0);
  if (!(last < before)) return std::numeric_limits<double>::infinity();
  if (!(last > 0)) return 0;
  const double fall = std::log(last / before) / (2.0 * static_cast<double>(third));
  return std::log(target_ / residual_) / fall;
}

bool is_left(const Stakes& s) {
  constexpr double too_long = 4;  // a forecast may be so many times
  const double gain = 2 * (s.spent + s.left / too_long) - (s.spent + s.other);
  const bool is_dear = s.spent >= s.promised && s.left >= s.other && gain >= 0;
  const bool is_late =
      s.spent >= s.other_from_start && (s.left >= s.other / 2 || s.spent >= 2 * s.other_from_start);
  return is_dear || is_late;
}

bool PayAsYouGo::operator()(const KrylovStep& step) {
  forecast_.add(step);
  spent_ += per_step_;
  if (forecast_.steps() < next_look_) return false;
  next_look_ += std::max(1, next_look_ / 8);
  steps_left_ = forecast_.steps_left();
  return is_left({spent_, per_step_ * steps_left_, promised_, others_(steps_left_),
                  others_(forecast_.steps() + steps_left_)});
}

}  // namespace pympf::precond
