// From C++ exceptions to PETSc errors, the same one on all ranks.
#pragma once

#include <new>
#include <string>

#include "pc_mmf.hpp"

namespace pympf {

struct Failure {
  PetscErrorCode code = PetscErrorCode(0);  // 0: none
  std::string text = {};                    // empty: PETSc has said it already
};

// A factorization that breaks down is a property of the matrix: the outer solver may go on without
// it, unless the user asked for an error (as PCLU does).
inline constexpr auto breakdown = PetscErrorCode(PETSC_ERR_CONV_FAILED);

// Runs `body`, which returns a PetscErrorCode.
template <class Body>
Failure failure_of(const Body& body, PetscErrorCode invalid = PetscErrorCode(PETSC_ERR_ARG_WRONG)) {
  try {
    return {body()};
  } catch (const InvalidArgument& error) {
    return {invalid, error.what()};
  } catch (const Singular& error) {
    return {breakdown, error.what()};
  } catch (const OutOfMemory& error) {
    return {PetscErrorCode(PETSC_ERR_MEM), error.what()};
  } catch (const std::bad_alloc&) {
    return {PetscErrorCode(PETSC_ERR_MEM), "out of memory"};
  } catch (const std::exception& error) {
    return {PetscErrorCode(PETSC_ERR_LIB), error.what()};
  }
}

PetscErrorCode raise(PC pc, const Failure& failure);

// What went wrong on the first of the ranks on which something did. Collective.
Failure agreed(const Communicator& comm, const Failure& own);

// Lets no C++ exception into PETSc. `body` may be collective: what it throws it throws on all
// ranks, or the job ends.
template <class Body>
PetscErrorCode guarded(PC pc, const Body& body,
                       PetscErrorCode invalid = PetscErrorCode(PETSC_ERR_ARG_WRONG)) {
  PetscFunctionBegin;
  PetscCall(raise(pc, failure_of([&] { return together(data(pc).comm, body); }, invalid)));
  PetscFunctionReturn(PetscErrorCode(0));
}

// The same for work of each rank alone: what fails on one fails on all. Collective.
template <class Body>
PetscErrorCode guarded_collectively(PC pc, const Body& body) {
  PetscFunctionBegin;
  PetscCall(raise(pc, agreed(data(pc).comm, failure_of(body))));
  PetscFunctionReturn(PetscErrorCode(0));
}

}  // namespace pympf
