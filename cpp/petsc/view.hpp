// What -pc_view prints.
#pragma once

#include "pc_mmf.hpp"

namespace pympf {

PetscErrorCode PCView_MMF(PC pc, PetscViewer viewer);

}  // namespace pympf
