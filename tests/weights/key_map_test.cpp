#include "daguerre/weights/key_map.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/weights/checkpoint.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"
#include "support/tiny_checkpoint.hpp"
#include "weights/key_maps/layouts.hpp"

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

  const auto swapped = dict.renamed({{.name = "swapped", .source = "table", .halves_swapped = true}});
  const auto table = swapped.tensor("swapped", {4, 2});
  for (Index i = 0; i < 8; ++i) CHECK(table.data()[i] == static_cast<float>((i + 4) % 8));
  Tensor<float> packed({4, 2});
  ops::Weight(swapped.weight("swapped", {4, 2})).read(0, 4, packed.data());
  CHECK(test::difference(packed, table).rel_l2 == 0.0);
  // Twice is as it was.
  const auto back = swapped.renamed({{.name = "table", .source = "swapped", .halves_swapped = true}});
  CHECK(back.tensor("table", {4, 2}).data()[0] == 0.0f);
  test::expect_error<WeightError>(
      [&] { dict.renamed({{.name = "x", .source = "scalar", .halves_swapped = true}}); }, {"no two halves"});
  test::expect_error<WeightError>([&] { swapped.renamed({{"x", "swapped", 0, 1}}); }, {"rearranged"});

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

TEST_CASE("tensors can be seen in another shape and transposed", "[weights][key_map]") {
  const test::TempFolder folder;
  const auto dict = small_dict(folder);
  const auto renamed = dict.renamed({{"wide", "table", 0, -1, Shape{2, 4, 1, 1}},
                                     {"turned", "table", 0, -1, std::nullopt, true},
                                     {"turned_top", "table", 0, 2, Shape{1, 4}, true},
                                     {"plain", "table"}});
  const auto values = [](const StateDict& weights, const std::string& name) {
    const auto tensor = weights.tensor(name, weights.shape(name));
    return std::vector<float>(tensor.span().begin(), tensor.span().end());
  };
  CHECK(renamed.shape("wide") == Shape{2, 4, 1, 1});
  CHECK(values(renamed, "wide") == std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7});
  CHECK(renamed.shape("turned") == Shape{2, 4});
  CHECK(values(renamed, "turned") == std::vector<float>{0, 2, 4, 6, 1, 3, 5, 7});
  CHECK(renamed.shape("turned_top") == Shape{4, 1});
  CHECK(renamed.source_name("turned") == "table");
  CHECK(renamed.contains_below("turned_"));
  CHECK_FALSE(renamed.contains_below("table"));

  // What is stored, in the order of the shape.
  std::vector<std::byte> scratch;
  const auto stored = renamed.bytes("turned", scratch);
  REQUIRE(stored.size() == 16);
  CHECK(std::equal(stored.begin(), stored.begin() + 2, dict.bytes("table", scratch).begin()));
  std::vector<std::byte> other;
  const auto again = renamed.bytes("turned", other);
  CHECK(std::equal(again.begin() + 2, again.begin() + 4, dict.bytes("table", scratch).begin() + 4));
  renamed.release_pages("turned");
  CHECK(values(renamed, "turned").back() == 7.0f);

  // Twice is once more the same.
  CHECK(values(renamed.renamed({{"back", "turned", 0, -1, std::nullopt, true}}), "back") ==
        values(renamed, "plain"));
  test::expect_error<WeightError>(
      [&] {
        dict.renamed({{"x", "table", 0, -1, Shape{3, 3}}});
      },
      {"[4, 2]", "cannot be [3, 3]"});
  test::expect_error<WeightError>(
      [&] {
        dict.renamed({{"x", "scalar", 0, -1, std::nullopt, true}});
      },
      {"two axes"});
  test::expect_error<WeightError>([&] { renamed.renamed({{"x", "turned", 0, 1}}); }, {"is rearranged"});
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

namespace {

/// Names of another layout and back.
void check_round_trip(const StateDict& original, const StateDict& own,
                      const std::vector<weights::key_maps::JoinedTensor>& back) {
  std::vector<std::string> names;
  for (const auto& tensor : back) {
    INFO(tensor.name);
    REQUIRE(original.contains(tensor.name));
    CHECK(original.shape(tensor.name) == tensor.shape);
    Index elements = 0;
    for (const auto& source : tensor.sources) elements += own.shape(source).size();
    CHECK(elements == tensor.shape.size());
    names.push_back(tensor.name);
  }
  std::sort(names.begin(), names.end());
  CHECK(names == original.names());
}

}  // namespace

TEST_CASE("the U-Net and autoencoder of CompVis get diffusers' names, and theirs back",
          "[weights][key_map]") {
  for (const std::string family : {"sd1", "sd2", "sdxl", "sdxl-refiner"}) {
    INFO(family);
    const auto unet = test::TinyCheckpoint(family).unet("").weights();
    const auto own = weights::with_diffusers_names(unet);
    for (const auto& name : own.names()) {
      INFO(name);
      CHECK(name.find("blocks.") != 0);
      CHECK(name.find("put_blocks") == name.npos);
      CHECK(name.find("layers.") == name.npos);
    }
    check_round_trip(unet, own, weights::key_maps::to_ldm_unet(own));
  }
  const auto sdxl = weights::with_diffusers_names(test::TinyCheckpoint("sdxl").unet("").weights());
  const auto from = [&](const std::string& name) { return std::string(sdxl.source_name(name)); };
  CHECK(from("down_blocks.1.resnets.0.conv1.weight") == "input_blocks.4.0.in_layers.2.weight");
  CHECK(from("down_blocks.0.downsamplers.0.conv.bias") == "input_blocks.3.0.op.bias");
  CHECK(from("down_blocks.2.attentions.1.transformer_blocks.9.norm1.weight") ==
        "input_blocks.8.1.transformer_blocks.9.norm1.weight");
  CHECK(from("up_blocks.0.upsamplers.0.conv.weight") == "output_blocks.2.2.conv.weight");
  CHECK(from("up_blocks.2.resnets.2.conv_shortcut.weight") == "output_blocks.8.0.skip_connection.weight");
  CHECK(from("mid_block.resnets.1.time_emb_proj.bias") == "middle_block.2.emb_layers.1.bias");
  CHECK(from("add_embedding.linear_2.weight") == "label_emb.0.2.weight");

  const auto vae = test::TinyCheckpoint("").autoencoder("").weights();
  const auto own = weights::with_diffusers_names(vae);
  check_round_trip(vae, own, weights::key_maps::to_ldm_autoencoder(own));
  CHECK(own.source_name("decoder.up_blocks.0.upsamplers.0.conv.weight") ==
        "decoder.up.3.upsample.conv.weight");
  CHECK(own.source_name("encoder.mid_block.attentions.0.to_q.weight") == "encoder.mid.attn_1.q.weight");
  CHECK(own.shape("encoder.mid_block.attentions.0.to_out.0.weight") == Shape{32, 32});
  CHECK(own.shape("quant_conv.weight") == Shape{8, 8, 1, 1});
  test::expect_error<WeightError>(
      [&] {
        weights::key_maps::to_ldm_autoencoder(own.renamed({{"encoder.odd", "quant_conv.bias"}}));
      },
      {"\"encoder.odd\"", "no place"});
  test::expect_error<WeightError>(
      [&] {
        weights::key_maps::to_ldm_unet(sdxl.renamed({{"down_blocks.0.odd.weight", "conv_in.bias"}}));
      },
      {"\"down_blocks.0.odd.weight\"", "no place"});
}

TEST_CASE("open_clip's text encoder gets transformers' names, and its own back", "[weights][key_map]") {
  auto tiny = test::TinyCheckpoint("");
  const auto original = tiny.open_clip("", 3).weights();
  const auto own = weights::with_diffusers_names(original);
  check_round_trip(original, own, weights::key_maps::to_open_clip(own));
  const auto joint = original.tensor("transformer.resblocks.2.attn.in_proj_weight", {96, 32});
  const auto values = own.tensor("text_model.encoder.layers.2.self_attn.v_proj.weight", {32, 32});
  CHECK(std::equal(values.span().begin(), values.span().end(), joint.span().begin() + 64 * 32));
  const auto projection = original.tensor("text_projection", {32, 32});
  const auto turned = own.tensor("text_projection.weight", {32, 32});
  CHECK(turned.data()[5 * 32 + 7] == projection.data()[7 * 32 + 5]);
  for (const auto& tensor : weights::key_maps::to_open_clip(own))
    if (tensor.name == "transformer.resblocks.0.attn.in_proj_bias")
      CHECK(tensor.sources == std::vector<std::string>{"text_model.encoder.layers.0.self_attn.q_proj.bias",
                                                       "text_model.encoder.layers.0.self_attn.k_proj.bias",
                                                       "text_model.encoder.layers.0.self_attn.v_proj.bias"});
  std::vector<weights::RenamedTensor> without_keys;
  for (const auto& name : own.names())
    if (name.find("1.self_attn.k_proj") == name.npos) without_keys.push_back({name, name});
  test::expect_error<WeightError>([&] { weights::key_maps::to_open_clip(own.renamed(without_keys)); },
                                  {"resblocks.1.attn.in_proj", "queries, keys and values"});
}

TEST_CASE("both towers of open_clip's models get transformers' names, and their own back",
          "[weights][key_map]") {
  const auto original = StateDict::load(test::golden("metrics/hpsv2") / "weights.safetensors");
  const auto own = weights::with_diffusers_names(original);
  check_round_trip(original, own, weights::key_maps::to_open_clip(own));
  CHECK(own.shape("vision_model.embeddings.patch_embedding.weight") == Shape{32, 3, 7, 7});
  const auto projection = original.tensor("visual.proj", {32, 16});
  const auto turned = own.tensor("visual_projection.weight", {16, 32});
  CHECK(turned.data()[5 * 32 + 7] == projection.data()[7 * 16 + 5]);
  const auto joint = original.tensor("visual.transformer.resblocks.1.attn.in_proj_bias", {96});
  const auto keys = own.tensor("vision_model.encoder.layers.1.self_attn.k_proj.bias", {32});
  CHECK(std::equal(keys.span().begin(), keys.span().end(), joint.span().begin() + 32));
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

TEST_CASE("TAESD is read from the two files that it is published in", "[weights][key_map]") {
  const test::TempFolder folder;
  const auto own = test::golden("pipelines/sd1_taesd") / "vae" / "diffusion_pytorch_model.safetensors";
  const auto file = weights::SafetensorsFile::open(own);
  weights::SafetensorsWriter encoder, decoder, both;
  for (const auto& info : file.tensors()) {
    const std::string name(info.name), layers = "coder.layers.";
    const auto rest = name.substr(name.find(layers) + layers.size());
    const bool encodes = name.starts_with("en");
    const auto dot = rest.find('.');
    // A clamp is the decoder's first layer there.
    const auto theirs = std::to_string(std::stoi(rest) + (encodes ? 0 : 1)) + rest.substr(dot);
    (encodes ? encoder : decoder).add(theirs, file.read<float>(name));
    both.add((encodes ? "taesd_encoder." : "taesd_decoder.") + theirs, file.read<float>(name));
  }
  decoder.save(folder / "taesd_decoder.safetensors");
  test::expect_error<WeightError>([&] { weights::open_checkpoint(folder / "taesd_decoder.safetensors"); },
                                  {"taesd_decoder.safetensors", "no encoder", "two files"});
  encoder.save(folder / "taesd_encoder.safetensors");
  both.save(folder / "taesd.safetensors");
  const auto config = Config::load(test::golden("pipelines/sd1_taesd") / "vae" / "config.json");
  for (const char* name : {"taesd_decoder.safetensors", "taesd_encoder.safetensors", "taesd.safetensors"}) {
    const auto checkpoint = weights::open_checkpoint(folder / name);
    const auto* part = checkpoint.find("vae");
    REQUIRE(part != nullptr);
    CHECK(part->class_name == "AutoencoderTiny");
    CHECK(part->weights.names() == StateDict::load(own).names());
    CHECK(checkpoint.unknown.empty());
    for (const char* key : {"encoder_block_out_channels", "decoder_block_out_channels", "num_encoder_blocks",
                            "num_decoder_blocks"})
      CHECK(part->config.require_ints(key) == config.require_ints(key));
    CHECK(part->config.require_int("latent_channels") == 4);
  }
}

TEST_CASE("Wan's transformer gets its original names and back", "[weights][key_map]") {
  for (const char* name : {"wan_flf2v_transformer", "wan_vace_transformer"}) {
    const auto own = StateDict::load(test::golden("video") / name / "weights.safetensors");
    std::vector<weights::RenamedTensor> theirs;
    for (const auto& tensor : weights::key_maps::to_original_wan(own)) {
      REQUIRE(tensor.sources.size() == 1);
      theirs.push_back({"model.diffusion_model." + tensor.name, tensor.sources.front()});
    }
    const auto original = own.renamed(theirs);
    CHECK(original.contains("model.diffusion_model.blocks.1.cross_attn.norm_k.weight"));
    CHECK(original.contains("model.diffusion_model.head.modulation"));
    CHECK(weights::with_diffusers_names(original).names() == own.names());
  }
}

TEST_CASE("Wan's autoencoder is read from its original names", "[weights][key_map]") {
  const auto folder = test::golden("pipelines/wan22_i2v_a14b") / "vae";
  const auto own = StateDict::load(folder / "diffusion_pytorch_model.safetensors");
  const auto replace = [](std::string name, std::string_view from, std::string_view to) {
    if (const auto at = name.find(from); at != name.npos) name.replace(at, from.size(), to);
    return name;
  };
  weights::SafetensorsWriter writer;
  const auto file = weights::SafetensorsFile::open(folder / "diffusion_pytorch_model.safetensors");
  for (const auto& info : file.tensors()) {
    std::string name(info.name);
    // Two residual blocks and a resampler in a level, one behind the other.
    for (int level = 0; level < 4; ++level) {
      const auto block = "decoder.up_blocks." + std::to_string(level) + ".";
      for (int i = 0; i < 2; ++i)
        name = replace(name, block + "resnets." + std::to_string(i),
                       "decoder.upsamples." + std::to_string(3 * level + i));
      name = replace(name, block + "upsamplers.0", "decoder.upsamples." + std::to_string(3 * level + 2));
    }
    name = replace(name, "encoder.down_blocks.", "encoder.downsamples.");
    name = replace(name, "mid_block.resnets.0", "middle.0");
    name = replace(name, "mid_block.resnets.1", "middle.2");
    name = replace(name, "mid_block.attentions.0", "middle.1");
    if (name.find(".middle.1.") == name.npos) {
      for (const auto& [from, to] : {std::pair{".norm1.", ".residual.0."},
                                     {".norm2.", ".residual.3."},
                                     {".conv_shortcut.", ".shortcut."}})
        name = replace(name, from, to);
      name = replace(name, ".conv1.", ".residual.2.");
      name = replace(name, ".conv2.", ".residual.6.");
    }
    name = replace(name, "coder.conv_in", "coder.conv1");
    name = replace(name, "norm_out", "head.0");
    name = replace(name, "conv_out", "head.2");
    if (name.starts_with("quant_conv")) name = replace(name, "quant_conv", "conv1");
    name = replace(name, "post_quant_conv", "conv2");
    writer.add(name, file.read<float>(std::string(info.name)));
  }
  const test::TempFolder temporary;
  writer.save(temporary / "vae.safetensors");
  const auto checkpoint = weights::open_checkpoint(temporary / "vae.safetensors");
  const auto* part = checkpoint.find("vae");
  REQUIRE(part != nullptr);
  CHECK(part->class_name == "AutoencoderKLWan");
  CHECK(part->weights.names() == own.names());
  const auto config = Config::load(folder / "config.json");
  CHECK(part->config.require_ints("dim_mult") == config.require_ints("dim_mult"));
  for (const char* key : {"base_dim", "z_dim", "num_res_blocks"})
    CHECK(part->config.require_int(key) == config.require_int(key));
}
