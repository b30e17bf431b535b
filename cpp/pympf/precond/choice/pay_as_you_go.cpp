#include "pympf/precond/choice/pay_as_you_go.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace pympf::precond {

void Forecast::add(const KrylovStep& step) {
  decreases_.push_back(step.decrease);
  residuals_.push_back(step.residual);
  target_ = step.target;
  if (!(step.alpha > 0)) return;
  const double rz = step.decrease / step.alpha;
  const double square = alpha_ > 0 ? rz / (rz_ * alpha_ * alpha_) : 0;  // beta / alpha^2
  const double off = std::sqrt(square);
  if (alpha_ > 0)  // Gershgorin's circles
    largest_ = std::max(largest_, diagonal_.back() + std::sqrt(squares_.back()) + off);
  diagonal_.push_back(1 / step.alpha + square * alpha_);
  squares_.push_back(square);
  largest_ = std::max(largest_, diagonal_.back() + off);
  rz_ = rz;
  alpha_ = step.alpha;
}

bool Forecast::takes(double steps) const {
  constexpr double of_bound = 1.0 / 3;
  if (diagonal_.empty() || !(target_ > 0) || !(residuals_.front() > target_)) return false;
  const double root = of_bound * std::log(2 * residuals_.front() / target_) / (2 * steps);
  return has_two_ritz_values_below(largest_ * root * root);
}

// By the negative pivots of T - x (Sylvester).
bool Forecast::has_two_ritz_values_below(double x) const {
  int below = 0;
  double pivot = 1;
  for (std::size_t i = 0; i < diagonal_.size() && below < 2; ++i) {
    pivot = diagonal_[i] - x - squares_[i] / pivot;
    if (pivot == 0) pivot = -std::numeric_limits<double>::min();
    if (pivot < 0) ++below;
  }
  return below == 2;
}

double Forecast::steps_left() const {
  if (residuals_.empty()) return std::numeric_limits<double>::infinity();
  const double residual = residuals_.back();
  if (residual <= target_) return 0;
  const std::ptrdiff_t third = std::max(1, steps() / 3);
  if (steps() < 2 * third) return std::numeric_limits<double>::infinity();
  if (decreases_.back() == 0) {
    const double fell = residual / residuals_[residuals_.size() - 1 - third];
    return fell < 1 ? third * std::log(target_ / residual) / std::log(fell)
                    : std::numeric_limits<double>::infinity();
  }
  const auto end = decreases_.end();
  const double last = std::accumulate(end - third, end, 0.0);
  const double before = std::accumulate(end - 2 * third, end - third, 0.0);
  if (!(last < before)) return std::numeric_limits<double>::infinity();
  if (!(last > 0)) return 0;
  const double fall = std::log(last / before) / (2.0 * static_cast<double>(third));
  return std::log(target_ / residual) / fall;
}

bool is_left(const Stakes& s) {
  constexpr double too_long = 4;           // a forecast may be so many times
  constexpr double least_stake = 1.0 / 3;  // before a forecast is believed
  constexpr double least_of_long = 1.0 / 16;
  const double q = s.other_from_start;
  const double stake = (s.is_long ? least_of_long : least_stake) * s.other;
  if (s.spent < std::max(s.promised, stake)) return s.spent >= 2 * q;
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
  const double steps = forecast_.steps_left(), other = others_(steps);
  return is_left({spent_, per_step_ * steps, promised_, other, others_(forecast_.steps() + steps),
                  forecast_.takes(other / per_step_)});
}

}  // namespace pympf::precond
