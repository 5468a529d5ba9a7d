#include <algorithm>

#include "daguerre/models/autoencoders/detail/film_latents.hpp"

namespace daguerre::models::detail {

LatentDistribution film_distribution(const ops::Context& context, const Tensor<float>& moments) {
  const auto parts = ops::chunk(context, moments, 2, -1);
  return {parts[0], ops::clamp(context, parts[1], -30.0f, 20.0f)};
}

void check_films(const char* who, const Shape& shape, Index channels, Index multiple, Index least) {
  if (shape.rank() != 5 || shape[4] != channels || shape.size() == 0 || shape[2] % multiple != 0 ||
      shape[3] % multiple != 0 || shape[2] < least || shape[3] < least)
    throw ArgumentError(who, "films " + to_string(shape) + ", expected [N, F, H, W, " +
                                 std::to_string(channels) + "] with sides of " +
                                 std::to_string(std::max(least, multiple)) +
                                 " at least that are multiples of " + std::to_string(multiple));
}

void check_film_latents(const char* who, const Shape& shape, Index channels) {
  if (shape.rank() != 5 || shape[4] != channels || shape.size() == 0)
    throw ArgumentError(
        who, "latents " + to_string(shape) + ", expected [N, F, h, w, " + std::to_string(channels) + "]");
}

void check_one_film(const char* who, const Shape& shape) {
  if (shape[0] != 1)
    throw ArgumentError(who, std::to_string(shape[0]) +
                                 " films, expected one: their frames are handed on as "
                                 "they come");
}

}  // namespace daguerre::models::detail
