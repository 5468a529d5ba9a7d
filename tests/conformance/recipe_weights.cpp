#include "conformance/recipe_weights.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>

#include <nlohmann/json.hpp>

#include "daguerre/core/error.hpp"

namespace daguerre::conformance {
namespace {

/// Tensor number `place` of a recipe, from element `first` on.
Tensor<float> recipe_numbers(const WeightRecipe& recipe, std::size_t place, const Shape& whole,
                             const Shape& shape, std::uint64_t first) {
  const auto& name = recipe.tensors[place].name;
  float scale = 0.1f, offset = 0.0f;
  if (whole.rank() >= 2)
    scale = static_cast<float>(std::sqrt(6.0 / static_cast<double>(whole.tail().size())));
  else if (name.ends_with("running_var"))
    scale = 0.25f, offset = 1.0f;
  else if (!name.ends_with("running_mean") && !name.ends_with("bias"))
    offset = 1.0f;
  const bool unsigned_numbers = recipe.absolute.contains(name);
  Tensor<float> result(shape);
  std::uint64_t next = recipe.seed + (static_cast<std::uint64_t>(place) << 40) + first + 0x9E3779B97F4A7C15U;
  for (float& value : result.span()) {
    std::uint64_t z = next++;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    z ^= z >> 31;
    const float product = scale * (static_cast<float>(z >> 40) * 0x1p-23f - 1.0f);
    value = offset == 0.0f ? product : offset + product;
    if (unsigned_numbers) value = std::abs(value);
  }
  return result;
}

/// Places are counted through all tensors, so that rows cut out of one are found again.
class RecipeFile final : public weights::TensorFile {
 public:
  explicit RecipeFile(WeightRecipe recipe) : recipe_(std::move(recipe)) {
    std::ranges::sort(recipe_.tensors, {}, &RecipeTensor::name);
    std::size_t begin = 0;
    for (const auto& [name, shape] : recipe_.tensors) {
      const auto end = begin + static_cast<std::size_t>(shape.size()) * sizeof(float);
      infos_.push_back({.name = name, .dtype = DType::f32, .shape = shape, .begin = begin, .end = end});
      begin = end;
    }
  }

  const std::string& name() const noexcept override { return name_; }
  std::span<const weights::TensorInfo> tensors() const noexcept override { return infos_; }
  const std::map<std::string, std::string>& metadata() const noexcept override { return metadata_; }
  ops::WeightSource weight(const weights::TensorInfo& info) const override {
    const auto whole = std::ranges::upper_bound(infos_, info.begin, {}, &weights::TensorInfo::begin) - 1;
    return ops::WeightSource::of(recipe_numbers(recipe_, static_cast<std::size_t>(whole - infos_.begin()),
                                                whole->shape, info.shape,
                                                (info.begin - whole->begin) / sizeof(float)));
  }

 private:
  WeightRecipe recipe_;
  std::string name_ = "(weights by recipe)";
  std::vector<weights::TensorInfo> infos_;
  std::map<std::string, std::string> metadata_;
};

nlohmann::json read_json(const std::filesystem::path& file) {
  std::ifstream stream(file);
  if (!stream) throw FileError("conformance", file.string() + " cannot be read", file);
  return nlohmann::json::parse(stream);
}

nlohmann::json recipe_keys(const std::filesystem::path& case_folder, const std::string& like) {
  if (std::filesystem::exists(case_folder / "keys.json")) return read_json(case_folder / "keys.json");
  const auto config = read_json(case_folder / "config.json");
  if (config.contains("keys")) return config["keys"];
  if (like.empty())
    throw ConfigError("conformance", case_folder.string() + " does not name its weights' tensors");
  return recipe_keys(case_folder.parent_path() / like, {});
}

}  // namespace

WeightRecipe read_recipe(const std::filesystem::path& case_folder, const std::string& like) {
  const auto config = read_json(case_folder / "config.json");
  WeightRecipe recipe{.seed = config.at("seed").get<std::uint64_t>()};
  const auto fixed = config.value("fixed", std::vector<std::string>());
  for (const auto& key : recipe_keys(case_folder, like)) {
    const auto name = key.at(0).get<std::string>();
    if (std::ranges::find(fixed, name) != fixed.end()) continue;
    const auto extents = key.at(1).get<std::vector<Index>>();
    recipe.tensors.push_back({name, Shape(extents)});
    if (config.contains("lin") && name.starts_with("lin") && name.ends_with(".model.1.weight"))
      recipe.absolute.insert(name);
  }
  return recipe;
}

weights::StateDict recipe_weights(const WeightRecipe& recipe) {
  return weights::StateDict({std::make_shared<const RecipeFile>(recipe)}, "(weights by recipe)");
}

weights::StateDict recipe_weights(const std::filesystem::path& case_folder, const std::string& like) {
  auto result = recipe_weights(read_recipe(case_folder, like));
  const auto config = read_json(case_folder / "config.json");
  const auto recorded = config.value("first_values", nlohmann::json::object());
  for (const auto& [name, values] : recorded.items()) {
    const auto shape = result.shape(name);
    const auto weight = ops::Weight(result.weight(name, shape));
    std::vector<float> first(static_cast<std::size_t>(weight.row_size()));
    std::size_t place = 0;
    Index row = -1;
    for (const auto& value : values) {
      const Index at = static_cast<Index>(place++), width = weight.row_size();
      if (at / width != row) weight.read(at / width, at / width + 1, first.data()), row = at / width;
      if (first[static_cast<std::size_t>(at % width)] != value.get<float>())
        throw ConfigError("conformance", "the recipe's " + name + " does not begin as recorded");
    }
  }
  // What is asked for is counted from here on.
  return recipe_weights(read_recipe(case_folder, like));
}

}  // namespace daguerre::conformance
