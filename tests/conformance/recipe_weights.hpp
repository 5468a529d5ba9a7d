#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "daguerre/weights/state_dict.hpp"

namespace daguerre::conformance {

struct RecipeTensor {
  std::string name;
  Shape shape;
};

/// Weights that a recorded case does not store: an integer hash of a tensor's place among the others, sorted
/// by name, and of an element's place in it (`recipe` in the case's config.json says it in full).
struct WeightRecipe {
  std::uint64_t seed = 0;
  std::vector<RecipeTensor> tensors{};  ///< those that count, in any order
  std::set<std::string> absolute{};     ///< those whose numbers lose their sign
};

/// The recipe of a case: `seed` of its config.json, and the tensors that `keys` there or in keys.json name,
/// without those that are `fixed`; the weights of LPIPS's linear layers lose their sign. A case that names no
/// tensors has those of the case `like` beside it.
WeightRecipe read_recipe(const std::filesystem::path& case_folder, const std::string& like = {});

/// The weights by a recipe; a tensor's numbers are made when they are read. Throws ConfigError where the case
/// records its `first_values` and these are others.
weights::StateDict recipe_weights(const WeightRecipe& recipe);
weights::StateDict recipe_weights(const std::filesystem::path& case_folder, const std::string& like = {});

}  // namespace daguerre::conformance
