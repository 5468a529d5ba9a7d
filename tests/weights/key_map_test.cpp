#include "daguerre/weights/key_map.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"

using namespace daguerre;
using weights::StateDict;

namespace {

/// "table" [4, 2] with the values 0 .. 7 and "scalar".
StateDict small_dict(const test::TempFolder& folder) {
  weights::SafetensorsWriter writer;
  Tensor<half> table({4, 2});
  for (Index i = 0; i < table.size(); ++i) table.data()[i] = half(static_cast<float>(i));
  writer.add("table", table);
  writer.add("scalar", Tensor<half>::full({}, half(3.0f)));
  writer.save(folder / "x.safetensors");
  return StateDict::load(folder / "x.safetensors");
}

}  // namespace

TEST_CASE("tensors and rows of them can be renamed", "[weights][key_map]") {
  const test::TempFolder folder;
  const auto dict = small_dict(folder);
  const auto renamed = dict.renamed({{"top", "table", 0, 1},
                                     {"rest", "table", 1, 3},
                                     {"whole", "table"},
                                     {"number", "scalar"},
                                     {"none", "table", 4, 0}});
  CHECK(renamed.names() == std::vector<std::string>{"none", "number", "rest", "top", "whole"});
  CHECK(renamed.source() == dict.source());
  CHECK_FALSE(renamed.contains("table"));
  const auto rest = renamed.tensor("rest", {3, 2});
  for (Index i = 0; i < rest.size(); ++i) CHECK(rest.data()[i] == static_cast<float>(i + 2));
  CHECK(renamed.tensor("top", {1, 2}).data()[1] == 1.0f);
  CHECK(renamed.tensor("number", {}).data()[0] == 3.0f);
  CHECK(renamed.shape("none") == Shape{0, 2});
  CHECK(renamed.unused() == std::vector<std::string>{"none", "whole"});
  CHECK(dict.unused().size() == 2);

  // A second renaming builds on the first.
  const auto again = renamed.renamed({{"last", "rest", 2, 1}});
  CHECK(again.tensor("last", {1, 2}).data()[0] == 6.0f);

  test::expect_error<WeightError>(
      [&] {
        renamed.tensor("rest", {4, 2});
      },
      {"\"rest\" (there \"table\") has shape [3, 2]", "[4, 2]"});
  test::expect_error<WeightError>([&] { dict.renamed({{"x", "tabel"}}); }, {"\"tabel\" is missing", "table"});
  for (const auto& [first, rows] : {std::pair<Index, Index>{-1, 2}, {2, 3}, {5, 0}, {0, -2}})
    test::expect_error<WeightError>(
        [&, f = first, r = rows] {
          dict.renamed({{"x", "table", f, r}});
        },
        {"\"table\" has shape [4, 2]"});
  test::expect_error<WeightError>([&] { dict.renamed({{"x", "scalar", 0, 1}}); }, {"scalar"});
  test::expect_error<FormatError>([&] { dict.renamed({{"x", "table"}, {"x", "scalar"}}); }, {"\"x\""});
}

TEST_CASE("the original DiT's weights get diffusers' names", "[weights][key_map][golden]") {
  // The two recorded cases hold the same weights.
  const auto diffusers = StateDict::load(test::golden("dit/dit") / "weights.safetensors");
  const auto mapped = weights::with_diffusers_names(
      StateDict::load(test::golden("dit/dit_original") / "weights.safetensors"));
  for (const auto& name : diffusers.names()) {
    INFO(name);
    REQUIRE(mapped.contains(name));
    const auto shape = diffusers.shape(name);
    const auto expected = diffusers.tensor(name, shape), actual = mapped.tensor(name, shape);
    CHECK(std::equal(actual.span().begin(), actual.span().end(), expected.span().begin()));
  }
  CHECK(mapped.unused() == std::vector<std::string>{"pos_embed.pos_embed"});
  CHECK(weights::with_diffusers_names(diffusers).names() == diffusers.names());
}

TEST_CASE("a text encoder's weights get one set of names", "[weights][key_map][golden]") {
  const auto file = test::golden("text/clip_l_projection") / "weights.safetensors";
  const auto usual = StateDict::load(file);
  CHECK(weights::with_diffusers_names(usual).names() == usual.names());
  const auto mapped_names = [&](const auto& rename) {
    std::vector<weights::RenamedTensor> tensors;
    for (const auto& name : usual.names()) tensors.push_back({rename(name), name});
    return weights::with_diffusers_names(usual.renamed(tensors)).names();
  };
  const auto bare = [](std::string name) {
    return name.starts_with("text_model.") ? name.substr(std::string("text_model.").size()) : name;
  };
  CHECK(mapped_names(bare) == usual.names());
  CHECK(mapped_names([](const std::string& name) { return "clip." + name; }) == usual.names());
  CHECK(mapped_names([&](const std::string& name) { return "clip." + bare(name); }) == usual.names());
  CHECK(mapped_names([](std::string name) {
          const auto end = name.rfind('.');
          if (name.find("layer_norm") != name.npos)
            name.replace(end, name.npos, name.ends_with(".weight") ? ".gamma" : ".beta");
          return name;
        }) == usual.names());
}

TEST_CASE("queries, keys and values that do not split are refused", "[weights][key_map]") {
  const test::TempFolder folder;
  weights::SafetensorsWriter writer;
  for (const auto* name : {"x_embedder.proj.weight", "blocks.0.adaLN_modulation.1.weight", "blocks.x.odd"})
    writer.add(name, Tensor<float>::zeros({2, 2}));
  writer.save(folder / "fine.safetensors");
  CHECK(weights::with_diffusers_names(StateDict::load(folder / "fine.safetensors")).contains("blocks.x.odd"));
  writer.add("blocks.0.attn.qkv.weight", Tensor<float>::zeros({7, 2}));
  writer.save(folder / "x.safetensors");
  test::expect_error<WeightError>(
      [&] { weights::with_diffusers_names(StateDict::load(folder / "x.safetensors")); },
      {"blocks.0.attn.qkv.weight", "[7, 2]", "three"});
}
