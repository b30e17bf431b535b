// M, an approximate inverse of a matrix: what the ways in (Python, PETSc) hold.
#pragma once

#include <memory>

#include "pympf/mmf/mmf.hpp"
#include "pympf/precond/choice/known.hpp"
#include "pympf/precond/levels/setup.hpp"

namespace pympf::precond {

// M is symmetric; for v, w and additive cycles it is positive definite on a positive definite A and
// semidefinite on a singular one: where rounding may have cost it that, by what the setup saw, a
// probe decides and the next choice takes its place. For a negative definite A, M approximates
// (-A)^-1; for an indefinite one the coarse solve takes absolute values, and M may fail to be
// definite; that of a saddle point (saddle.hpp) is definite. The cycle 'k' varies from one
// application to the next.
//
// Of a matrix that is said to be `general` (DistRows) M is not symmetric (nonsymmetric.hpp), and
// approximates A^-1 with all its signs.
//
// The method `classic` (classic.hpp) is definite for every symmetric matrix, and takes no
// near-nullspace, nodes or parts.
template <class T>
class Preconditioner {
 public:
  // near_nullspace: rows() x vectors, or empty for constants; the rows of A come in nodes of
  // `block`; without either, nodes are looked for (nodes.hpp). `parts`, on several ranks, where
  // rows are to move (placement.hpp): the rank where own row i shall be worked on; the rows of a
  // node go together. Collective over the ranks of A, as update and apply are; vectors hold own
  // entries. The pattern of A must be symmetric (la/symmetry.hpp). `left`, for a general A: the
  // near-nullspace of A^T. `known`: what a solve has found before. `progress` is called after each
  // stage of the method `classic`.
  Preconditioner(const DistRows<T>& A, const Params& params, NearNullspace near_nullspace = {},
                 Index block = 1, const std::vector<int>& parts = {}, NearNullspace left = {},
                 const Known& known = {}, const mmf::Progress& progress = {});
  // |F|^-1, as the method `classic` makes it of the matrix of F. Collective over the ranks of F.
  explicit Preconditioner(std::shared_ptr<const mmf::Mmf<T>> F);
  ~Preconditioner();
  Preconditioner(Preconditioner&&) noexcept;
  Preconditioner& operator=(Preconditioner&&) noexcept;

  Index rows() const;
  const Params& params() const;
  const Report& report() const;
  // F of the method `classic`; null for the others.
  std::shared_ptr<const mmf::Mmf<T>> factorization() const;

  // Whether `update` takes A: it has the rows of the first matrix and, but for the method
  // `classic`, its pattern. Collective.
  bool has_pattern(const DistRows<T>& A) const;

  // New values on the same pattern (InvalidArgument when it is another): keeps the order of the
  // rows, the clusters and the scaling functions. As good as a new one while the values change by a
  // factor or by little, for about half of the time.
  void update(const DistRows<T>& A);

  // For a solver that found M not to be definite, or not finite: builds what follows what is there,
  // the levels in float64, the incomplete factor alone, or the diagonal, for the same A; `why` goes
  // to the reason of the report. False when nothing is left.
  bool fall_back(const DistRows<T>& A, const std::string& why);

  // z = M r. On one rank any number of threads may call; allocates only the first time.
  void apply(const T* r, T* z) const;
  // Z = M R, every column with the bits that it has alone.
  void apply(const Block<const T>& R, const Block<T>& Z) const;
  void apply_transpose(const Block<const T>& R, const Block<T>& Z) const;  // Z = M^T R

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pympf::precond
