#include "daguerre/pipeline/noise.hpp"

#include "daguerre/core/layout.hpp"

namespace daguerre {

SeededNoise::SeededNoise(std::string_view generator, std::vector<std::uint64_t> seeds) {
  for (const auto seed : seeds) generators_.push_back(make_generator(generator, seed));
}

Tensor<float> SeededNoise::draw(Use, const Shape& shape) {
  if (shape.rank() != 4 || shape[0] != static_cast<Index>(generators_.size()))
    throw ArgumentError("noise", "asked for " + to_string(shape) + " of " +
                                     std::to_string(generators_.size()) +
                                     " generators, expected [N, h, w, C]");
  std::vector<Tensor<float>> images;
  for (const auto& generator : generators_)
    images.push_back(to_channels_last(generator->randn({1, shape[3], shape[1], shape[2]})));
  return concat_leading<float>(images);
}

}  // namespace daguerre
