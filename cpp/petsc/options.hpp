// The options -pc_mmf_<name>: the fields of precond/params.hpp, and reuse_rotations.
#pragma once

#include <vector>

#include "pc_mmf.hpp"
#include "pympf/common/field.hpp"

namespace pympf {

const std::vector<Field<PcMmf>>& options();

// PetscOptionItems* in PETSc 3.18, a type of its own in later ones.
template <class Items>
Items second_argument(PetscErrorCode (*)(PC, Items));
using OptionItems = decltype(second_argument(_PCOps{}.setfromoptions));

PetscErrorCode PCSetFromOptions_MMF(PC pc, OptionItems PetscOptionsObject);

}  // namespace pympf
