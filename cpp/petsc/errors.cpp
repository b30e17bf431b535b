#include "errors.hpp"

#include <algorithm>
#include <cstdint>

namespace pympf {

PetscErrorCode raise(PC pc, const Failure& failure) {
  PetscFunctionBegin;
  if (failure.text.empty()) {
    PetscCall(failure.code);
    PetscFunctionReturn(PetscErrorCode(0));
  }
  const char* text = failure.text.c_str();
  if (failure.code == breakdown && !pc->erroriffailure) {
    PetscCall(PetscInfo(pc, "%s\n", text));
    PetscCall(PCSetFailedReason(pc, PC_FACTOR_OTHER));
    PetscFunctionReturn(PetscErrorCode(0));
  }
  // Memory may be short on one rank only, and of a communicator rank 0 alone prints.
  const bool alone = failure.code == PETSC_ERR_MEM;
  SETERRQ(alone ? PETSC_COMM_SELF : PetscObjectComm((PetscObject)pc), failure.code, "PC mmf: %s",
          text);
}

Failure agreed(const Communicator& comm, const Failure& own) {
  if (comm.size() == 1) return own;
  const auto codes = comm.all_gather(static_cast<std::int64_t>(own.code));
  const auto first = std::find_if(codes.begin(), codes.end(), [](auto code) { return code != 0; });
  if (first == codes.end()) return {};
  const bool is_petscs = own.code && own.text.empty();
  const auto check = [&] {
    collective_check(comm, is_petscs ? "an error in PETSc" : own.text);
    return PetscErrorCode(0);
  };
  return {static_cast<PetscErrorCode>(*first), failure_of(check).text};
}

}  // namespace pympf
