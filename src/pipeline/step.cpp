#include "daguerre/pipeline/step.hpp"

namespace daguerre {

Image Step::preview(Index n) const {
  if (!decode) throw ArgumentError("step", "it has no preview");
  return decode(n);
}

}  // namespace daguerre
