#include "pympf/precond/levels/near_nullspace.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "pympf/la/blas1.hpp"
#include "pympf/la/sparse.hpp"
#include "pympf/precond/smoothers/smoother.hpp"

namespace pympf::precond {
namespace {

// b^T A b / b^T D b; leaves A b in `product`.
double rayleigh(const Stage& stage, const std::vector<double>& d, const std::vector<double>& b,
                std::vector<double>& product) {
  product.resize(b.size());
  stage.border.multiply(stage.A, b.data(), product.data());
  double energy = 0, mass = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    energy += b[i] * product[i];
    mass += d[i] * b[i] * b[i];
  }
  energy = stage.border.comm.sum(energy);
  mass = stage.border.comm.sum(mass);
  return mass > 0 ? energy / mass : 0;
}

// Whether |A b|_i is above a thousandth of a_ii |b_i| on half of the rows.
bool is_far_from_null(const Stage& stage, const std::vector<double>& Ab,
                      const std::vector<double>& d, const std::vector<double>& b) {
  Global far = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    const double size = d[i] * std::abs(b[i]);
    far += size > 0 && std::abs(Ab[i]) > 1e-3 * size;
  }
  return 2 * stage.border.comm.sum(far) >= stage.rows();
}

bool is_far_from_null(const Stage& stage, const std::vector<double>& b) {
  const std::vector<double> d = diagonal(stage.A.view());
  std::vector<double> own(b.begin(), b.begin() + stage.A.rows), Ab;
  rayleigh(stage, d, own, Ab);
  return is_far_from_null(stage, Ab, d, own);
}

// Constants; D^-1/2 1 when its Rayleigh quotient is ten times smaller; either relaxed on A b = 0
// when it is no near-nullspace.
template <class T>
Found default_vector(const Stage& stage, const Level<T>& level, const Params& params) {
  const Index n = stage.A.rows;
  const Communicator& comm = stage.border.comm;
  const std::vector<double> d = diagonal(stage.A.view());
  std::vector<double> b(n, 1.0), Ab;
  const double quotient = rayleigh(stage, d, b, Ab);
  double least = std::numeric_limits<double>::infinity(), most = -least;
  for (double x : d) least = std::min(least, x), most = std::max(most, x);
  least = comm.min(least), most = comm.max(most);
  if (least > 0 && least < most) {  // else they are the same vector
    std::vector<double> scaled(n), product;
    for (Index i = 0; i < n; ++i) scaled[i] = 1 / std::sqrt(d[i]);
    if (rayleigh(stage, d, scaled, product) < 0.1 * quotient) b.swap(scaled), Ab.swap(product);
  }
  bool poor = is_far_from_null(stage, Ab, d, b);
  if (params.relaxations > 0 && poor) {
    std::vector<T> x(b.begin(), b.end()), zero(n, T(0)), work(2 * static_cast<std::size_t>(n));
    for (int step = 0; step < params.relaxations; ++step)
      smooth(level, params, zero.data(), x.data(), work.data(), step % 2 == 0);
    b.assign(x.begin(), x.end());
    stage.border.multiply(stage.A, b.data(), Ab.data());
    poor = is_far_from_null(stage, Ab, d, b);
  }
  const double size = norm(comm, n, b.data());
  const auto rows = static_cast<double>(stage.rows());
  if (size > 0) scale(n, std::sqrt(rows) / size, b.data(), b.data());
  return {{1, std::move(b)}, poor};
}

}  // namespace

NearNullspace constants(Index rows, Index block) {
  NearNullspace B{block, std::vector<double>(static_cast<std::size_t>(rows) * block, 0.0)};
  for (Index i = 0; i < rows; ++i) B.values[static_cast<std::size_t>(i) * block + i % block] = 1;
  return B;
}

template <class T>
Found first_vectors(const NearNullspace& given, const Stage& stage, const Level<T>& level,
                    const Params& params) {
  // A rank without rows cannot tell from its part.
  const bool is_given = stage.border.comm.max(Global{!given.values.empty()}) > 0;
  Found found{given};
  if (is_given) {
    permute_rows(found.B.values, stage.domains.order, found.B.vectors);
    found.poor = found.B.vectors == 1 && is_far_from_null(stage, found.B.values);
  } else if (stage.block == 1)
    found = default_vector(stage, level, params);
  else
    found.B = constants(stage.A.rows, stage.block);
  stage.border.share(found.B.values, found.B.vectors);
  return found;
}

template Found first_vectors(const NearNullspace&, const Stage&, const Level<float>&,
                             const Params&);
template Found first_vectors(const NearNullspace&, const Stage&, const Level<double>&,
                             const Params&);

}  // namespace pympf::precond
