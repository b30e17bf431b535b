// Any matrix by SuperLU, as L U. It takes a matrix by its columns.
#include "pympf/common/error.hpp"
#include "pympf/la/sparse_factor/backends.hpp"

#ifdef PYMPF_HAVE_SUPERLU
#include <slu_ddefs.h>

#include <algorithm>
#include <cmath>
#include <new>

#include "pympf/common/memory.hpp"
#include "pympf/la/dense.hpp"
#include "pympf/la/sparse.hpp"
#endif

namespace pympf::sparse_factor {

#ifdef PYMPF_HAVE_SUPERLU

namespace {

// A pivot is taken where it is at least so large beside the largest entry of its column: any one on
// the diagonal, as long as it is not zero; one on the diagonal that is good enough; any good one.
constexpr double fixed_pivots = 0, diagonal_pivots = 0.01, any_pivots = 0.1;
// What zeros on the diagonal of a symmetric matrix are taken for as pivots, relative to the largest
// entry of the row, with the other sign: [F B^T; B -C] has pivots in any order (Vanderbei,
// "Symmetric quasidefinite matrices", SIAM J. Optim. 5, 1995). A solution is as exact as that.
constexpr double lower = 1e-8;

class Columns {
 public:
  explicit Columns(const CsrView<double>& A) {
    dCreate_CompCol_Matrix(&matrix_, A.rows, A.cols, A.nnz(), const_cast<double*>(A.data),
                           const_cast<Index*>(A.indices), const_cast<Index*>(A.indptr), SLU_NC,
                           SLU_D, SLU_GE);
  }
  ~Columns() { Destroy_SuperMatrix_Store(&matrix_); }
  Columns(const Columns&) = delete;
  Columns& operator=(const Columns&) = delete;
  SuperMatrix* get() { return &matrix_; }

 private:
  SuperMatrix matrix_;
};

// With pivots off the diagonal the tree of A + A^T may miss an update, and SuperLU takes a row
// twice.
bool is_permutation(const std::vector<Index>& rows) {
  std::vector<char> seen(rows.size(), 0);
  for (Index i : rows) {
    if (i < 0 || i >= static_cast<Index>(rows.size()) || seen[i]) return false;
    seen[i] = 1;
  }
  return true;
}

// SuperLU ends the process where an array that is not of L or U has no room: there must be room for
// all that it asks for at first. A few arrays of integers:
void require_room_to_order(std::size_t rows, std::size_t nnz) {
  constexpr std::size_t margin_bytes = std::size_t{1} << 20;
  require_room(sizeof(int) * (6 * nnz + 16 * rows) + margin_bytes);
}

// L and U by its guess of their fill, with the work space of the panels; what L and U want later
// may fail.
void require_room_to_factor(std::size_t rows, std::size_t nnz) {
  const std::size_t fill = sp_ienv(6), panel = sp_ienv(1);
  const std::size_t factors = fill * nnz * (2 * sizeof(double) + 2 * sizeof(int));
  const std::size_t work = rows * (panel * sizeof(double) + (2 * panel + 32) * sizeof(int));
  require_room(factors + work);
  require_room_to_order(rows, nnz);
}

class Statistics {
 public:
  Statistics() { StatInit(&stat_); }
  ~Statistics() { StatFree(&stat_); }
  Statistics(const Statistics&) = delete;
  Statistics& operator=(const Statistics&) = delete;
  SuperLUStat_t* get() { return &stat_; }

 private:
  SuperLUStat_t stat_;
};

struct Factors {
  SuperMatrix L{}, U{};
  std::vector<Index> columns, rows;

  Factors() = default;
  Factors(const Factors&) = delete;
  Factors& operator=(const Factors&) = delete;
  ~Factors() {
    if (L.Store) Destroy_SuperNode_Matrix(&L);
    if (U.Store) Destroy_CompCol_Matrix(&U);
  }
};

// By columns, whose pivots may be exchanged or not.
class Lu {
 public:
  // Empty for a matrix that is singular to rounding. order[k]: the column that comes k-th.
  static std::optional<Lu> factor(const CsrView<double>& A, const std::vector<Index>& order,
                                  double pivots);
  // x <- A^-1 x, and A^-T x; y is written.
  void solve(double* x, double* y) const;
  void solve_transposed(double* x, double* y) const;
  // The number of negative pivots; none if some pivot was taken off the diagonal.
  std::optional<Index> negative_pivots() const;
  // Whether each pivot is on the diagonal and larger than `least` times the entry d there.
  bool has_pivots_above(double least, const std::vector<double>& d) const;
  double stored() const {
    return static_cast<double>(static_cast<SCformat*>(out_->L.Store)->nnz +
                               static_cast<NCformat*>(out_->U.Store)->nnz);
  }

 private:
  std::vector<double> pivots() const;

  std::unique_ptr<Factors> out_ = std::make_unique<Factors>();
};

std::optional<Lu> Lu::factor(const CsrView<double>& A, const std::vector<Index>& order,
                             double pivots) {
  const SerialBlas serial;
  Lu lu;
  superlu_options_t options;
  set_default_options(&options);
  options.SymmetricMode = pivots == any_pivots ? NO : YES;
  options.DiagPivotThresh = pivots;
  Factors& out = *lu.out_;
  out.columns.resize(A.rows);
  out.rows.resize(A.rows);
  for (Index k = 0; k < A.rows; ++k) out.columns[order[k]] = k;
  Columns columns(A);
  require_room_to_factor(A.rows, A.nnz());
  SuperMatrix ordered;
  std::vector<Index> tree(A.rows);
  sp_preorder(&options, columns.get(), out.columns.data(), tree.data(), &ordered);
  Statistics statistics;
  GlobalLU_t global;
  int_t info = 0;
  dgstrf(&options, &ordered, sp_ienv(2), sp_ienv(1), tree.data(), nullptr, 0, out.columns.data(),
         out.rows.data(), &out.L, &out.U, &global, statistics.get(), &info);
  Destroy_CompCol_Permuted(&ordered);
  if (info > A.rows) throw std::bad_alloc();
  if (info != 0 || !is_permutation(out.rows)) return {};
  return lu;
}

// Supernode by supernode: consecutive columns whose part of L has the same rows, the triangle of U
// between them above the diagonal; U has the rest.
void Lu::solve(double* x, double* y) const {
  const Factors& factors = *out_;
  const auto n = static_cast<Index>(factors.rows.size());
  const auto& L = *static_cast<const SCformat*>(factors.L.Store);
  const auto& U = *static_cast<const NCformat*>(factors.U.Store);
  const auto* l = static_cast<const double*>(L.nzval);
  const auto* u = static_cast<const double*>(U.nzval);
  for (Index i = 0; i < n; ++i) y[factors.rows[i]] = x[i];
  for (Index s = 0; s <= L.nsuper; ++s) {
    const Index first = L.sup_to_col[s], end = L.sup_to_col[s + 1];
    const auto* rows = L.rowind + L.rowind_colptr[first];
    const auto height = L.rowind_colptr[first + 1] - L.rowind_colptr[first];
    for (Index j = first; j < end; ++j)
      for (auto r = j - first + 1; r < height; ++r) y[rows[r]] -= l[L.nzval_colptr[j] + r] * y[j];
  }
  for (Index s = L.nsuper; s >= 0; --s) {
    const Index first = L.sup_to_col[s];
    for (Index j = L.sup_to_col[s + 1] - 1; j >= first; --j) {
      const double* column = l + L.nzval_colptr[j];
      y[j] /= column[j - first];
      for (Index r = 0; r < j - first; ++r) y[first + r] -= column[r] * y[j];
      for (auto p = U.colptr[j]; p < U.colptr[j + 1]; ++p) y[U.rowind[p]] -= u[p] * y[j];
    }
  }
  for (Index i = 0; i < n; ++i) x[i] = y[factors.columns[i]];
}

// Pr A Pc^T = L U, so A^T x = b is U^T (L^T (Pr x)) = Pc b.
void Lu::solve_transposed(double* x, double* y) const {
  const Factors& factors = *out_;
  const auto n = static_cast<Index>(factors.rows.size());
  const auto& L = *static_cast<const SCformat*>(factors.L.Store);
  const auto& U = *static_cast<const NCformat*>(factors.U.Store);
  const auto* l = static_cast<const double*>(L.nzval);
  const auto* u = static_cast<const double*>(U.nzval);
  for (Index i = 0; i < n; ++i) y[factors.columns[i]] = x[i];
  for (Index s = 0; s <= L.nsuper; ++s) {
    const Index first = L.sup_to_col[s];
    for (Index j = first; j < L.sup_to_col[s + 1]; ++j) {
      const double* column = l + L.nzval_colptr[j];
      double sum = y[j];
      for (auto p = U.colptr[j]; p < U.colptr[j + 1]; ++p) sum -= u[p] * y[U.rowind[p]];
      for (Index r = 0; r < j - first; ++r) sum -= column[r] * y[first + r];
      y[j] = sum / column[j - first];
    }
  }
  for (Index s = L.nsuper; s >= 0; --s) {
    const Index first = L.sup_to_col[s];
    const auto* rows = L.rowind + L.rowind_colptr[first];
    const auto height = L.rowind_colptr[first + 1] - L.rowind_colptr[first];
    for (Index j = L.sup_to_col[s + 1] - 1; j >= first; --j)
      for (auto r = j - first + 1; r < height; ++r) y[j] -= l[L.nzval_colptr[j] + r] * y[rows[r]];
  }
  for (Index i = 0; i < n; ++i) x[i] = y[factors.rows[i]];
}

std::vector<double> Lu::pivots() const {
  const auto& L = *static_cast<const SCformat*>(out_->L.Store);
  const auto* l = static_cast<const double*>(L.nzval);
  std::vector<double> out(out_->columns.size());
  for (Index s = 0; s <= L.nsuper; ++s)
    for (Index first = L.sup_to_col[s], j = first; j < L.sup_to_col[s + 1]; ++j)
      out[j] = l[L.nzval_colptr[j] + j - first];
  return out;
}

bool Lu::has_pivots_above(double least, const std::vector<double>& d) const {
  if (out_->rows != out_->columns) return false;
  const std::vector<double> found = pivots();
  for (std::size_t i = 0; i < d.size(); ++i)
    if (!(found[out_->columns[i]] > least * d[i])) return false;
  return true;
}

std::optional<Index> Lu::negative_pivots() const {
  if (out_->rows != out_->columns) return {};
  const std::vector<double> found = pivots();
  return static_cast<Index>(
      std::count_if(found.begin(), found.end(), [](double pivot) { return !(pivot > 0); }));
}

std::vector<Index> order_by(colperm_t method, const CsrView<double>& A) {
  std::vector<Index> position(A.rows), order(A.rows);
  require_room_to_order(A.rows, A.nnz());
  Columns columns(A);
  get_perm_c(method, columns.get(), position.data());
  for (Index i = 0; i < A.rows; ++i) order[position[i]] = i;
  return order;
}

bool has_full_diagonal(const CsrView<double>& A) {
  const std::vector<double> d = diagonal(A);
  return std::find(d.begin(), d.end(), 0.0) == d.end();
}

// A symmetric A whose diagonal entries can be pivots.
Csr<double> with_pivots(const CsrView<double>& A) {
  Csr<double> out = with_whole_diagonal(A);
  for (Index i = 0; i < A.rows; ++i) {
    double largest = 0;
    Index at = -1;
    for (Index p = out.indptr[i]; p < out.indptr[i + 1]; ++p) {
      largest = std::max(largest, std::abs(out.data[p]));
      if (out.indices[p] == i) at = p;
    }
    if (out.data[at] == 0) out.data[at] = -lower * largest;
  }
  return out;
}

class Superlu final : public SparseFactor {
 public:
  Superlu(const CsrView<double>& A, const FactorRequest& request)
      : SparseFactor(A.rows),
        kind_(request.kind),
        pivots_(request.pivots),
        is_small_(A.rows <= request.most_rows_blindly) {
    analysis_ = {"superlu", "minimum degree", {}, true};
    if (is_plainly_singular(A)) return;
    is_on_diagonal_ = kind_ == MatrixKind::symmetric ? pivots_ != Pivots::any || !is_small_
                                                     : has_full_diagonal(A);
    if (kind_ == MatrixKind::symmetric)
      plan(with_pivots(A), request.most_entries);
    else
      plan(kind_ == MatrixKind::general ? transpose(A).view() : A, request.most_entries);
  }

  std::optional<Index> negative_eigenvalues() const override {
    return lu_ && kind_ != MatrixKind::general ? lu_->negative_pivots() : std::nullopt;
  }
  double stored() const override { return lu_ ? lu_->stored() : 0; }

 protected:
  int triangles() const override { return 2; }

  bool decompose(const CsrView<double>& A) override {
    lu_.reset();
    work_.resize(static_cast<std::size_t>(A.rows));
    if (order_.empty()) return false;
    switch (kind_) {
      case MatrixKind::definite:
        return decompose_definite(A);
      case MatrixKind::symmetric:
        return decompose_symmetric(A);
      case MatrixKind::general:
        lu_ = with_exchanges(transpose(A));
        return lu_.has_value();
    }
    return false;
  }

  void solve_one(double* x, bool transposed) const override {
    transposed ? lu_->solve_transposed(x, work_.data()) : lu_->solve(x, work_.data());
  }

 private:
  void plan(const CsrView<double>& columns, double most_entries) {
    analysis_.known = is_on_diagonal_;
    if (!is_on_diagonal_) {
      analysis_.order = "COLAMD";
      order_ = order_by(COLAMD, columns);
      return;
    }
    // SuperLU's own minimum degree takes three to ten times as long as AMD.
    order_ = approximate_minimum_degree(columns);
    if (!order_.empty())
      analysis_.order = "AMD";
    else
      order_ = order_by(MMD_AT_PLUS_A, columns);
    analysis_.fill = fill_of(columns, order_, most_entries);
  }

  bool decompose_definite(const CsrView<double>& A) {
    const std::vector<double> d = diagonal(A);
    if (!is_on_diagonal_ || !(*std::min_element(d.begin(), d.end()) > 0)) return false;
    lu_ = Lu::factor(A, order_, fixed_pivots);
    return lu_ && lu_->has_pivots_above(noise(A.rows), d);
  }

  bool decompose_symmetric(const CsrView<double>& A) {
    if (pivots_ != Pivots::any) {
      lu_ = Lu::factor(with_pivots(A), order_, fixed_pivots);
      if (is_solved(A)) return true;
      if (pivots_ == Pivots::diagonal) return false;
    }
    // With pivots off the diagonal the fill is that of A^T A, for which COLAMD is. Zeros are stored
    // on the diagonal for the reason of `with_exchanges`.
    if (is_small_)
      lu_ = Lu::factor(with_whole_diagonal(A), is_on_diagonal_ ? order_by(COLAMD, A) : order_,
                       any_pivots);
    else if (has_full_diagonal(A))
      lu_ = Lu::factor(A, order_, diagonal_pivots);
    else
      return false;
    return is_solved(A);
  }

  bool is_solved(const CsrView<double>& A) const {
    return lu_ && is_accurate(A, [&](double* x) { solve_one(x, false); });
  }

  // Where zeros are stored on the whole diagonal: SuperLU takes the pivot of a column from the rows
  // below, and reads behind them where the pattern leaves none. If every diagonal entry is in the
  // pattern, one is always left: a pivot in row r and column c leaves to the row that c had the
  // column that r had. A column in which only zeros are left is told by `info`.
  std::optional<Lu> with_exchanges(const Csr<double>& columns) const {
    return is_on_diagonal_ ? Lu::factor(columns, order_, diagonal_pivots)
                           : Lu::factor(with_whole_diagonal(columns), order_, any_pivots);
  }

  const MatrixKind kind_;
  const Pivots pivots_;
  const bool is_small_;  // enough for a fill that is not predicted
  bool is_on_diagonal_ = false;
  std::vector<Index> order_;
  std::optional<Lu> lu_;
  mutable std::vector<double> work_;
};

}  // namespace

bool has_superlu() { return true; }
std::unique_ptr<SparseFactor> analyze_superlu(const CsrView<double>& A,
                                              const FactorRequest& request) {
  return std::make_unique<Superlu>(A, request);
}

#else

bool has_superlu() { return false; }
std::unique_ptr<SparseFactor> analyze_superlu(const CsrView<double>&, const FactorRequest&) {
  return nullptr;
}

#endif

}  // namespace pympf::sparse_factor
