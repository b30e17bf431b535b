// What the user says of the matrix: its near-nullspace and its block size.
#pragma once

#include "pc_mmf.hpp"

namespace pympf {

struct Modes {
  precond::NearNullspace vectors;  // of own rows; empty when the user gave none
  precond::NearNullspace left;     // of the transpose, for a matrix that is not symmetric
  std::string left_text;           // what they are
  Index block = 1;
  bool are_new = true;
};

// A null space that is attached to a matrix goes before coordinates. That of the transpose is taken
// where it has as many vectors, or where it is the only one, which then serves both sides.
// Collective.
PetscErrorCode find_modes(PC pc, Modes* modes);

// PCSetCoordinates: `nodes` own points, their coordinates next to each other.
PetscErrorCode set_coordinates(PC pc, PetscInt dimension, PetscInt nodes, PetscReal* coordinates);

}  // namespace pympf
