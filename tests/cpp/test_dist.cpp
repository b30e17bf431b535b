// Matrices and factorizations over ranks, against the same on one. The test case that starts MPI
// (test_comm.cpp) calls these with MPI's world, and one here with a single process.
#include "test_dist.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "matrices.hpp"
#include "pympf/la/determined.hpp"
#include "pympf/la/dist_csr.hpp"
#include "pympf/la/krylov.hpp"
#include "pympf/la/repartition.hpp"
#include "pympf/mmf/mmf.hpp"
#include "pympf/precond/levels/border.hpp"
#include "pympf/precond/preconditioner.hpp"
#include "pympf/precond/smoothers/domains.hpp"

using namespace pympf;
using namespace pympf::mmf;

namespace {

// Ranks have about r + 1 shares each; the second of several has none.
Layout uneven(const Communicator& comm, Index rows) {
  std::vector<Index> share(comm.size());
  for (int r = 0; r < comm.size(); ++r) share[r] = r == 1 && comm.size() > 2 ? 0 : r + 1;
  const Index all = std::accumulate(share.begin(), share.end(), 0);
  Layout out;
  out.rank = comm.rank();
  out.starts.assign(1, 0);
  Global before = 0;
  for (int r = 0; r < comm.size(); ++r) {
    before += share[r];
    out.starts.push_back(rows * before / all);
  }
  return out;
}

template <class T>
GlobalRows<T> part(const Csr<T>& A, const Layout& layout) {
  GlobalRows<T> out;
  for (Global i = layout.first(); i < layout.last(); ++i) {
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
      out.indices.push_back(A.indices[p]);
      out.data.push_back(A.data[p]);
    }
    out.indptr.push_back(static_cast<Index>(out.data.size()));
  }
  return out;
}

template <class T>
std::vector<T> part(const std::vector<T>& x, const Layout& layout, Index m = 1) {
  return {x.begin() + layout.first() * m, x.begin() + layout.last() * m};
}

template <class T>
Csr<T> gathered(const DistRows<T>& A) {
  const GlobalRows<T> own = global_rows(A);
  Csr<T> out;
  out.rows = out.cols = static_cast<Index>(A.layout.total());
  std::vector<Index> lengths;
  for (Index i = 0; i < own.rows(); ++i) lengths.push_back(own.indptr[i + 1] - own.indptr[i]);
  out.indptr.push_back(0);
  for (Index length : A.comm.all_gather(lengths)) out.indptr.push_back(out.indptr.back() + length);
  for (Global j : A.comm.all_gather(own.indices)) out.indices.push_back(static_cast<Index>(j));
  out.data = A.comm.all_gather(own.data);
  return out;
}

template <class T>
bool same(const Csr<T>& A, const Csr<T>& B) {
  return A.indptr == B.indptr && A.indices == B.indices && A.data == B.data;
}

template <class T>
std::vector<T> ramp(Index n) {
  std::vector<T> out(n);
  for (Index i = 0; i < n; ++i) out[i] = static_cast<T>(std::sin(1.0 + 3.7 * i));
  return out;
}

void test_exchange(const Communicator& comm) {
  const Layout layout = uneven(comm, 40);
  // Every row of the others is a ghost.
  std::vector<Global> ghosts;
  for (Global i = 0; i < 40; ++i)
    if (!layout.owns(i)) ghosts.push_back(i);
  const Exchange halo = Exchange::halo(comm, layout, ghosts);
  std::vector<double> own, copies(2 * ghosts.size());
  for (Global i = layout.first(); i < layout.last(); ++i)
    own.insert(own.end(), {1.0 * i, -1.0 * i});
  ExchangeSpace<double> space;
  halo.forward(own.data(), copies.data(), 2, space);
  for (std::size_t g = 0; g < ghosts.size(); ++g) {
    CHECK(copies[2 * g] == ghosts[g]);
    CHECK(copies[2 * g + 1] == -ghosts[g]);
  }
  // Everybody sends 1 to every row: one comes back from each other rank with rows of its own.
  std::vector<double> ones(ghosts.size(), 1), sum(layout.own(), 0);
  halo.begin_back(ones.data(), 1, space);
  halo.end_back_adding(sum.data(), 1, space);
  for (double s : sum) CHECK(s == comm.size() - 1);

  // Backwards through the layout, and back.
  std::vector<Global> targets;
  for (Global i = layout.first(); i < layout.last(); ++i) targets.push_back(39 - i);
  const Exchange moves = Exchange::moves(comm, layout, targets);
  std::vector<double> there(2 * layout.own()), back(2 * layout.own());
  moves.forward(own.data(), there.data(), 2, space);
  for (Index i = 0; i < layout.own(); ++i) CHECK(there[2 * i] == 39 - (layout.first() + i));
  moves.backward(there.data(), back.data(), 2, space);
  CHECK(back == own);
}

void test_messages(const Communicator& comm) {
  std::vector<Packet<int>> out;
  for (int to = comm.rank(); to < comm.size(); ++to)
    out.push_back({to, std::vector<int>(to, 100 * comm.rank() + to)});
  const auto in = comm.exchange(out);
  REQUIRE(static_cast<int>(in.size()) == comm.rank() + 1);
  for (int from = 0; from <= comm.rank(); ++from) {
    CHECK(in[from].rank == from);
    CHECK(in[from].data == std::vector<int>(comm.rank(), 100 * from + comm.rank()));
  }
  CHECK(comm.exchange(std::vector<Packet<int>>{}).empty());
  CHECK(comm.sum_before(std::int64_t{2}) == 2 * comm.rank());
  std::vector<int> all;
  for (int r = 0; r < comm.size(); ++r) all.insert(all.end(), r, r);
  CHECK(comm.all_gather(std::vector<int>(comm.rank(), comm.rank())) == all);
}

void test_rows(const Communicator& comm) {
  const Csr<double> A = test::random_symmetric<double>(60, 5, 1);
  const Layout layout = uneven(comm, 60);
  const auto D = number_columns(comm, layout, part(A, layout));
  CHECK(same(gathered(D), A));
  CHECK(D.nnz() == A.nnz());
  CHECK(asymmetry(D).gap == 0);
  Csr<double> skewed = A;
  skewed.data[A.indptr[59]] += 0.5;
  const Asymmetry off = asymmetry(number_columns(comm, layout, part(skewed, layout)));
  CHECK(off.gap == doctest::Approx(0.5));
  CHECK(off.row == A.indices[A.indptr[59]]);
  CHECK(off.column == 59);
  // Entries without a mirror image, on either side of the diagonal.
  for (const auto& [i, j] : {std::pair<Index, Index>{3, 50}, {50, 3}, {58, 59}, {59, 0}}) {
    Csr<double> lone = A;
    const auto begin = lone.indices.begin() + lone.indptr[i],
               end = lone.indices.begin() + lone.indptr[i + 1];
    const auto place = std::lower_bound(begin, end, j) - lone.indices.begin();
    if (place < lone.indptr[i + 1] && lone.indices[place] == j) {
      lone.data[place] += 100;
    } else {
      lone.indices.insert(lone.indices.begin() + place, j);
      lone.data.insert(lone.data.begin() + place, 100);
      for (Index r = i + 1; r <= 60; ++r) ++lone.indptr[r];
    }
    const Asymmetry found = asymmetry(number_columns(comm, layout, part(lone, layout)));
    CHECK(found.gap == doctest::Approx(100));
    CHECK(found.row == std::min(i, j));
    CHECK(found.column == std::max(i, j));
  }

  const GlobalRows<double> mine = part(A, layout);
  const auto looked_at =
      view_of_rows(comm, layout, mine.indptr.data(), mine.indices.data(), mine.data.data());
  CHECK(looked_at.columns == D.columns);
  CHECK(same(gathered(looked_at), A));
  const auto x = ramp<double>(60);
  std::vector<double> Ax(60), y(layout.own());
  spmv(A.view(), x.data(), Ax.data());
  RowProduct<double> multiply(D);
  multiply(part(x, layout).data(), y.data());
  CHECK(y == part(Ax, layout));

  std::vector<Global> some{0, 7, 30, 59};
  const auto rows = fetch_rows(comm, layout, part(A, layout), some);
  for (std::size_t k = 0; k < some.size(); ++k)
    for (Index p = A.indptr[some[k]]; p < A.indptr[some[k] + 1]; ++p) {
      const Index q = rows.indptr[k] + p - A.indptr[some[k]];
      CHECK(rows.indices[q] == A.indices[p]);
      CHECK(rows.data[q] == A.data[p]);
    }

  // Reversed, and all on the last rank.
  Layout last = layout;
  std::fill(last.starts.begin(), last.starts.end() - 1, 0);
  std::vector<Global> targets;
  for (Global i = layout.first(); i < layout.last(); ++i) targets.push_back(59 - i);
  const auto moved = move_rows(D, last, targets);
  CHECK(moved.own() == (comm.rank() + 1 == comm.size() ? 60 : 0));
  const Csr<double> R = gathered(moved);
  for (Index i = 0; i < 60; ++i) {
    REQUIRE(R.indptr[i + 1] - R.indptr[i] == A.indptr[60 - i] - A.indptr[59 - i]);
    for (Index p = R.indptr[i], q = A.indptr[60 - i]; p < R.indptr[i + 1]; ++p) {
      CHECK(R.indices[p] == 59 - A.indices[--q]);
      CHECK(R.data[p] == A.data[q]);
    }
  }
}

// Every third row is a Dirichlet row, two chains hang on them, and zeros are stored on one side.
Csr<double> with_dirichlet_rows(Csr<double> A) {
  Csr<double> out{A.rows, A.cols, {0}, {}, {}};
  for (Index i = 0; i < A.rows; ++i) {
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
      const Index j = A.indices[p];
      const bool chain = i % 20 == 7 && j > i;  // what is before it may be coupled, and is cut off
      if (j != i && (i % 3 == 0 || chain)) continue;
      out.indices.push_back(j);
      out.data.push_back(j == i ? 3.0 + i : A.data[p]);
    }
    out.indptr.push_back(static_cast<Index>(out.data.size()));
  }
  return out;
}

// What is judged, filled and determined is the same on any number of ranks.
void test_symmetry(const Communicator& comm) {
  const Csr<double> A = with_dirichlet_rows(test::grid<double>({8, 8}));
  const Layout layout = uneven(comm, A.rows);
  const auto D = number_columns(comm, layout, part(A, layout));
  const DistRows<double> alone(A);
  const Asymmetry here = asymmetry(alone), there = asymmetry(D);
  CHECK(there.gap == here.gap);
  CHECK(there.row == here.row);
  CHECK(there.column == here.column);
  CHECK(there.one_sided);
  CHECK_THROWS_AS(require_symmetric_pattern(D), InvalidArgument);
  CHECK(same(gathered(with_symmetric_pattern(D)), with_symmetric_pattern(alone).storage));
  require_symmetric_pattern(with_symmetric_pattern(D));

  const Determined<double> by_one(alone), by_all(D);
  CHECK(by_all.count() == by_one.count());
  CHECK(by_one.count() > A.rows / 3);
  CHECK(same(gathered(by_all.rest(D)), by_one.rest(alone).storage));
  const auto b = ramp<double>(A.rows);
  std::vector<double> x(A.rows), c(A.rows), own_x(layout.own()), own_c(layout.own());
  by_one.solve(b.data(), x.data());
  by_one.move_to_right(b.data(), x.data(), c.data());
  by_all.solve(part(b, layout).data(), own_x.data());
  by_all.move_to_right(part(b, layout).data(), own_x.data(), own_c.data());
  CHECK(own_x == part(x, layout));
  CHECK(own_c == part(c, layout));

  // A chain of all rows, through the ranks and back.
  const Index n = 40;
  test::Builder path(n);
  for (Index i = 0; i < n; ++i) path.add(i, i, 2);
  for (Index i = 0; i + 1 < n; ++i) path.add(i * 7 % n, (i + 1) * 7 % n, 1);
  Csr<double> chain = path.matrix();
  for (Index i = 0; i + 1 < n; ++i)
    for (Index p = chain.indptr[i * 7 % n]; p < chain.indptr[i * 7 % n + 1]; ++p)
      if (chain.indices[p] == (i + 1) * 7 % n) chain.data[p] = 0;
  const Layout cut = uneven(comm, n);
  CHECK(Determined<double>(number_columns(comm, cut, part(chain, cut))).count() == n);
}

// Rows first .. last - 1 by fours; no cluster crosses the border of a rank.
precond::Clustering fours(const Layout& layout, Global first, Global last) {
  precond::Clustering out;
  for (Global i = first; i < last; ++i) {
    const Global start = layout.starts[layout.owner(i)];
    if ((i - start) % 4 == 0) ++out.count;
    out.label.push_back(out.count - 1);
  }
  return out;
}

// P^T A P over the ranks, and P taken apart for products, are those of one rank.
void test_projection(const Communicator& comm) {
  const Csr<double> A = test::grid<double>({13, 11});
  const Layout layout = uneven(comm, A.rows);
  const precond::Params params;
  auto labels = fours(layout, 0, A.rows);
  const precond::NearNullspace ones{1, std::vector<double>(A.rows, 1.0)};
  const auto Q = precond::rotate(ones, labels, 1);
  Csr<double> P = precond::lifted_prolongation(A, ones, Q, labels, 1, params);
  const auto alone = precond::project({}, A, precond::reach({}, 1, labels), 1, A.nnz(), P);
  REQUIRE(alone.has_value());

  const auto rows = number_columns(comm, layout, part(A, layout));
  std::vector<Index> order(layout.own()), number;
  std::iota(order.begin(), order.end(), 0);
  Border border;
  Csr<double> own = A;
  if (comm.size() > 1) {
    border = border_of(rows, order, 1, number);
    const Index cols = layout.own() + static_cast<Index>(border.ghosts.size());
    own = precond::permuted(rows.rows, order, number, cols, 1);
  }
  auto clusters = fours(layout, layout.first(), layout.last());
  auto B = precond::NearNullspace{1, std::vector<double>(layout.own(), 1.0)};
  border.share(B.values, 1);
  auto Q_own = precond::rotate(B, clusters, 1);
  const auto known = precond::reach(border, 1, clusters);
  precond::share(border, known, Q_own);
  Csr<double> P_own = precond::lifted_prolongation(own, B, Q_own, clusters, 1, params);
  CHECK_FALSE(precond::project(border, own, known, 1, alone->A.nnz() - 1, P_own).has_value());
  P_own = precond::lifted_prolongation(own, B, Q_own, clusters, 1, params);
  const auto made = precond::project(border, own, known, 1, alone->A.nnz(), P_own);
  REQUIRE(made.has_value());
  const Csr<double> product = gathered(made->border, made->A);
  REQUIRE(product.indptr == alone->A.indptr);
  for (Index i = 0; i < product.rows; ++i)
    for (Index p = product.indptr[i]; p < product.indptr[i + 1]; ++p) {
      const Index *first = &product.indices[product.indptr[i]], *last = first;
      std::advance(last, product.indptr[i + 1] - product.indptr[i]);
      const Index q = alone->A.indptr[i] +
                      static_cast<Index>(std::find(first, last, alone->A.indices[p]) - first);
      CHECK(product.data[q] == doctest::Approx(alone->A.data[p]).epsilon(1e-13));
    }
  if (comm.size() == 1) return;

  // All coarse rows on the last rank, as after agglomeration.
  Layout to = made->border.layout;
  std::fill(to.starts.begin(), to.starts.end() - 1, 0);
  const auto off = split(made->border, to, P_own);
  const auto x = ramp<double>(P.cols);
  std::vector<double> Px(P.rows), y(layout.own());
  spmv(P.view(), x.data(), Px.data());
  spmv(P_own.view(), off, part(x, to).data(), y.data());
  const auto expected = part(Px, layout);
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(y[i] == doctest::Approx(expected[i]));
}

// Squares of side x side points, and of twice that.
Labels squares(Index nx, Index ny, Index side) {
  Labels out(2);
  for (Index j = 0; j < ny; ++j)
    for (Index i = 0; i < nx; ++i) {
      out[0].push_back(i / side * 1000 + j / side);
      out[1].push_back(i / (2 * side) * 1000 + j / (2 * side));
    }
  return out;
}

Labels part(const Labels& labels, const Layout& layout) {
  Labels out;
  for (const auto& of_depth : labels) out.push_back(part(of_depth, layout));
  return out;
}

// For given clusters: the same bits as on one rank.
// Rows that go to a rank keep their order; vectors go with them and come back.
void test_repartition(const Communicator& comm) {
  const Csr<double> A = test::random_symmetric<double>(60, 5, 1);
  const Layout layout = uneven(comm, 60);
  const auto rank_of = [&](Global row) { return static_cast<int>(row * 7 % comm.size()); };
  std::vector<Global> order;  // of all rows after the move
  for (int rank = 0; rank < comm.size(); ++rank)
    for (Global i = 0; i < 60; ++i)
      if (rank_of(i) == rank) order.push_back(i);
  std::vector<int> parts;
  std::vector<double> numbers;
  for (Global i = layout.first(); i < layout.last(); ++i) {
    parts.push_back(rank_of(i));
    numbers.insert(numbers.end(), {1.0 * i, -1.0 * i});
  }
  const Repartition moves(comm, parts);
  const auto moved = moves.forward(number_columns(comm, layout, part(A, layout)));
  REQUIRE(moved.own() == moves.own());
  CHECK(same(gathered(moved), precond::permuted(A, {order.begin(), order.end()})));
  std::vector<double> there(2 * moves.own()), back(numbers.size());
  ExchangeSpace<double> space;
  moves.forward(numbers.data(), there.data(), 2, space);
  for (Index i = 0; i < moves.own(); ++i) {
    CHECK(there[2 * i] == order[moved.layout.first() + i]);
    CHECK(there[2 * i + 1] == -there[2 * i]);
  }
  moves.backward(there.data(), back.data(), 2, space);
  CHECK(back == numbers);
  if (!parts.empty()) parts[0] = comm.size();
  CHECK_THROWS_WITH_AS(Repartition(comm, parts), doctest::Contains("a row is to go to rank"),
                       InvalidArgument);
}

template <class T>
void check_same_as_alone(const Communicator& comm, const Csr<T>& A, const Params& params,
                         const Labels& labels) {
  const Layout layout = uneven(comm, A.rows);
  const Mmf<T> alone(factorize(A.view(), params, {}, labels));
  const auto D = number_columns(comm, layout, part(A, layout));
  const Mmf<T> F(factorize(D, params, {}, part(labels, layout)));
  CAPTURE(params.rows_per_rank);
  CAPTURE(params.order);
  CAPTURE(params.hub_factor);
  CAPTURE(sizeof(T));
  REQUIRE(F.levels() == alone.levels());
  CHECK(comm.sum(Global{F.core_size()}) == alone.core_size());
  for (int p = 0; p < F.levels(); ++p) {
    CHECK(F.factors().stages[p].rows == alone.factors().stages[p].rows);
    CHECK(F.factors().stages[p].nnz == alone.factors().stages[p].nnz);
    CHECK(F.factors().stages[p].retired == alone.factors().stages[p].retired);
  }
  for (Index m : {1, 3}) {
    const auto x = ramp<T>(A.rows * m);
    std::vector<T> y(x.size());
    alone.multiply(x.data(), y.data(), m);
    const auto mine = part(x, layout, m);
    std::vector<T> got(mine.size());
    F.multiply(mine.data(), got.data(), m);
    CHECK(got == part(y, layout, m));
    std::vector<T> back(mine.size());
    std::vector<T> coefficients(static_cast<std::size_t>(F.factors().Q->coefficients()) * m);
    F.transform(mine.data(), coefficients.data(), m);
    F.inverse_transform(coefficients.data(), back.data(), m);
    for (std::size_t i = 0; i < back.size(); ++i)
      CHECK(std::abs(back[i] - mine[i]) <= 100 * std::numeric_limits<T>::epsilon());
  }
  const double small = 1e3 * std::numeric_limits<T>::epsilon();
  double norm = 0, norm_alone = 0;
  CHECK(F.error(D, &norm) == doctest::Approx(alone.error(A.view(), &norm_alone)).epsilon(small));
  CHECK(norm == doctest::Approx(norm_alone).epsilon(small));
  CHECK(F.trace() == doctest::Approx(alone.trace()).epsilon(small));
  CHECK(F.slogdet().log == doctest::Approx(alone.slogdet().log).epsilon(small));
  CHECK(F.slogdet().sign == alone.slogdet().sign);
  const auto again = F.refactorize(D);
  CHECK(again.trace() == doctest::Approx(F.trace()).epsilon(small));
  CHECK(again.factors().dropped == doctest::Approx(F.factors().dropped).epsilon(1e-6));
}

void test_given_clusters(const Communicator& comm) {
  for (int rows_per_rank : {1, 100, 100000}) {
    Params params;
    params.core_size = 30;
    params.rows_per_rank = rows_per_rank;
    const auto labels = squares(24, 20, 5);
    check_same_as_alone(comm, test::grid<double>({24, 20}), params, labels);
    check_same_as_alone(comm, test::grid<float>({24, 20}), params, labels);
    params.order = 4;
    params.prenormalize = true;
    check_same_as_alone(comm, test::random_symmetric<double>(480, 8, 2), params, labels);
    params.prenormalize = false;
    params.selection = Selection::random;
    params.hub_factor = 1;  // rows of more than 32 entries are hubs
    check_same_as_alone(comm, test::power_law<double>(480, 3, 1), params, labels);
  }
}

KrylovResult solved(const Communicator& comm, const Csr<double>& A, const precond::Params& params,
                    const Layout& layout, std::vector<double>& x,
                    const precond::NearNullspace& B = {}, Index block = 1) {
  const auto rows = number_columns(comm, layout, part(A, layout));
  const DistCsr<double> D(rows);
  const precond::Preconditioner<double> M(rows, params, B, block);
  const Operator<double> multiply = [&](const double* in, double* out) { D.multiply(in, out); };
  const Operator<double> apply = [&](const double* in, double* out) { M.apply(in, out); };
  const auto b = part(ramp<double>(A.rows), layout);
  x.assign(b.size(), 0);
  KrylovParams krylov;
  krylov.max_iterations = 200;
  if (params.cycle == precond::CycleKind::k) krylov.method = Method::fcg;
  return solve<double>(multiply, &apply, layout.own(), b.data(), x.data(), krylov, {}, comm);
}

void check_preconditioner(const Communicator& comm, const Csr<double>& A,
                          const precond::Params& params, int more) {
  const Layout layout = uneven(comm, A.rows);
  Layout all;
  all.starts = {0, A.rows};
  std::vector<double> alone, x;
  const auto reference = solved(Communicator::self(), A, params, all, alone);
  const auto result = solved(comm, A, params, layout, x);
  CAPTURE(comm.size());
  CAPTURE(static_cast<int>(params.smoother));
  CAPTURE(static_cast<int>(params.cycle));
  REQUIRE(reference.converged);
  CHECK(result.converged);
  CHECK(result.iterations <= reference.iterations * 1.2 + more);
  const auto expected = part(alone, layout);
  double largest = 0;
  for (double v : alone) largest = std::max(largest, std::abs(v));
  for (std::size_t i = 0; i < x.size(); ++i) CHECK(std::abs(x[i] - expected[i]) <= 1e-5 * largest);

  // M is symmetric and positive, and the same in every run.
  if (params.cycle == precond::CycleKind::k) return;
  const auto rows = number_columns(comm, layout, part(A, layout));
  precond::Params exact = params;
  exact.precision = precond::Precision::working;
  const precond::Preconditioner<double> M(rows, exact), twin(rows, exact);
  const auto u = part(ramp<double>(A.rows), layout);
  std::vector<double> v(u), Mu(u.size()), Mv(u.size()), again(u.size());
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = std::cos(5 * u[i]);
  M.apply(u.data(), Mu.data());
  M.apply(v.data(), Mv.data());
  twin.apply(u.data(), again.data());
  CHECK(again == Mu);
  const auto dot = [&](const std::vector<double>& y, const std::vector<double>& z) {
    return comm.sum(std::inner_product(y.begin(), y.end(), z.begin(), 0.0));
  };
  CHECK(dot(u, Mu) > 0);
  const double size = std::sqrt(dot(u, Mu) * dot(v, Mv));
  CHECK(std::abs(dot(u, Mv) - dot(v, Mu)) <= 1e-12 * size);
}

void test_preconditioner(const Communicator& comm) {
  using precond::CycleKind, precond::SmootherKind;
  precond::Params params;
  params.method = precond::Method::multilevel;
  const auto grid = test::grid<double>({40, 40});
  const auto graph = test::random_symmetric<double>(900, 5, 4, test::Kind::definite);
  for (int rows_per_rank : {1, 200, 100000}) {
    params.rows_per_rank = rows_per_rank;
    check_preconditioner(comm, grid, params, 3);
    check_preconditioner(comm, graph, params, 3);
  }
  for (SmootherKind smoother :
       {SmootherKind::gauss_seidel, SmootherKind::chebyshev, SmootherKind::l1_jacobi}) {
    params.smoother = smoother;
    check_preconditioner(comm, grid, params, 4);
  }
  params.smoother = SmootherKind::incomplete_cholesky;
  for (CycleKind cycle : {CycleKind::w, CycleKind::k, CycleKind::additive}) {
    params.cycle = cycle;
    check_preconditioner(comm, grid, params, 6);
  }
  params.cycle = CycleKind::v;
  // On one rank `auto` may find an exact factorization; on several there is none.
  params.method = precond::Method::automatic;
  check_preconditioner(comm, grid, params, 8);
  check_preconditioner(comm, test::grid<double>({12, 12, 12}), params, 8);
  params.method = precond::Method::jacobi;
  check_preconditioner(comm, graph, params, 3);
}

// Clusters of its own on each rank.
template <class T>
void check_factorization(const Communicator& comm, const Csr<T>& A, const Params& params) {
  const Layout layout = uneven(comm, A.rows);
  const auto D = number_columns(comm, layout, part(A, layout));
  const Mmf<T> F(factorize(D, params));
  CHECK(comm.sum(Global{F.core_size()}) <= params.core_size);
  CHECK(comm.sum(Global{F.factors().Q->coefficients()}) == A.rows);
  double norm = 0;
  const double off = F.error(D, &norm);
  CHECK(off <= norm);
  CHECK(std::abs(off - F.factors().dropped) <=
        1e3 * std::sqrt(std::numeric_limits<T>::epsilon()) * norm);
  const auto x = part(ramp<T>(A.rows), layout);
  std::vector<T> y(x.size()), z(x.size()), again(x.size());
  F.multiply(x.data(), y.data(), 1);
  F.inverse().multiply(y.data(), z.data(), 1);
  for (std::size_t i = 0; i < x.size(); ++i)
    CHECK(std::abs(z[i] - x[i]) <= 1e5 * std::numeric_limits<T>::epsilon());
  const Mmf<T> twin(factorize(D, params));
  twin.multiply(x.data(), again.data(), 1);
  CHECK(again == y);  // the same bits in every run
}

void test_own_clusters(const Communicator& comm) {
  for (int rows_per_rank : {1, 100, 100000})
    for (Clustering clustering : {Clustering::graph, Clustering::inner_product}) {
      Params params;
      params.core_size = 25;
      params.max_cluster_size = 40;
      params.rows_per_rank = rows_per_rank;
      params.clustering = clustering;
      check_factorization(comm, test::grid<double>({25, 20}), params);
      check_factorization(comm, test::grid<float>({25, 20}), params);
    }
}

void test_few_rows(const Communicator& comm) {
  for (Index rows : {1, 2, 5}) {
    Params params;
    params.core_size = 1;
    check_factorization(comm, test::grid<double>({rows}), params);
  }
}

void test_what_one_rank_refuses(const Communicator& comm) {
  // The kind is that of the first rank that fails.
  const auto kinds = [&] {
    require<Singular>(comm.rank() > 0, "no pivot here");
    require(comm.rank() > 1, "no row here");
  };
  if (comm.size() > 1)
    CHECK_THROWS_WITH_AS(collectively(comm, kinds), doctest::Contains("no pivot here"), Singular);
  const auto full = [&] {
    if (comm.rank() == comm.size() - 1) throw std::bad_alloc();
  };
  if (comm.size() > 1)
    CHECK_THROWS_WITH_AS(collectively(comm, full), doctest::Contains(": out of memory"),
                         OutOfMemory);
  const Csr<double> A = test::grid<double>({8, 8});
  const Layout layout = uneven(comm, 64);
  const auto D = number_columns(comm, layout, part(A, layout));
  Labels crossing = squares(8, 8, 2);
  std::rotate(crossing[1].begin(), crossing[1].begin() + 1, crossing[1].end());
  CHECK_THROWS_WITH_AS(factorize(D, {}, {}, part(crossing, layout)),
                       doctest::Contains("must lie in one cluster of the next depth"),
                       InvalidArgument);
  std::vector<double> values(64, 1.0);
  values[63] = 0;
  const auto Z = number_columns(comm, layout, part(test::diagonal_matrix(values), layout));
  CHECK_THROWS_AS(Mmf<double>(factorize(Z, {})).inverse(), Singular);  // on every rank
}

}  // namespace

void test_distribution(const Communicator& comm) {
  test_messages(comm);
  test_exchange(comm);
  test_rows(comm);
  test_symmetry(comm);
  test_repartition(comm);
  test_projection(comm);
  test_given_clusters(comm);
  test_own_clusters(comm);
  test_few_rows(comm);
  test_preconditioner(comm);
  test_what_one_rank_refuses(comm);
}

TEST_CASE("what is distributed works on one process without MPI") {
  test_distribution(Communicator::self());
}
