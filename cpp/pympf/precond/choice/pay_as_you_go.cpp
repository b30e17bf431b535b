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
  constexpr double too_long = 4;           // a forecast may be so many times
  constexpr double least_stake = 1.0 / 3;  // before a forecast is believed
  const double q = s.other_from_start;
  if (s.spent < std::max(s.promised, least_stake * s.other)) return s.spent >= 2 * q;
  if (s.spent < q)
    return s.left >= s.other && 2 * (s.spent + s.left / too_long) >= s.spent + s.other;
  if (s.spent <= (1 + look_apart) * q) return s.left >= s.other / 2;
  return s.left >= too_long * s.other || s.spent >= 2 * q;
}

bool PayAsYouGo::operator()(const KrylovStep& step) {
  forecast_.add(step);
  spent_ += per_step_;
  if (forecast_.steps() < next_look_ || spent_ < promised_) return false;
  next_look_ = forecast_.steps() + std::max(1, static_cast<int>(look_apart * forecast_.steps()));
  const double left = forecast_.steps_left();
  return is_left(
      {spent_, per_step_ * left, promised_, others_(left), others_(forecast_.steps() + left)});
}

}  // namespace pympf::precond
