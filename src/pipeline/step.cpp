#include "daguerre/pipeline/step.hpp"

namespace daguerre {

Image Step::preview(Index n) const {
  if (!decode) throw ArgumentError("step", "it has no preview");
  return decode(n);
}

std::vector<Image> Step::preview_film(Index n) const {
  if (decode_film) return decode_film(n);
  return {preview(n)};
}

}  // namespace daguerre
