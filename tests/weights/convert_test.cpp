#include "daguerre/weights/convert.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "daguerre/core/error.hpp"
#include "daguerre/weights/gguf.hpp"
#include "daguerre/weights/key_map.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"
#include "support/tiny_checkpoint.hpp"
#include "weights/key_maps/layouts.hpp"

using namespace daguerre;
namespace fs = std::filesystem;
using test::TinyCheckpoint;
using weights::convert_checkpoint;
using weights::DType;
using weights::open_checkpoint;
using weights::StateDict;

namespace {

/// All tensors as they are stored.
std::map<std::string, std::pair<DType, std::string>> contents(const StateDict& weights) {
  std::map<std::string, std::pair<DType, std::string>> result;
  for (const auto& name : weights.names()) {
    std::vector<std::byte> scratch;
    const auto bytes = weights.bytes(name, scratch);
    result[name + to_string(weights.shape(name))] = {
        weights.find(name)->dtype, std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size())};
  }
  return result;
}

void check_equal_parts(const weights::Checkpoint& a, const weights::Checkpoint& b) {
  REQUIRE(a.parts.size() == b.parts.size());
  for (const auto& part : a.parts) {
    INFO(part.name);
    REQUIRE(b.find(part.name) != nullptr);
    CHECK(b.find(part.name)->class_name == part.class_name);
    CHECK((contents(part.weights) == contents(b.find(part.name)->weights)));
  }
}

std::string slurp(const fs::path& path) {
  return test::read_file(path);
}

}  // namespace

TEST_CASE("a single file becomes a folder and the same file again", "[weights][convert]") {
  for (const std::string family : {"sd1", "sd1-inpaint", "sd2", "sdxl", "sdxl-refiner", "sd3", "sd35-medium",
                                   "flux-dev", "pixart-alpha"}) {
    INFO(family);
    const test::TempFolder folder;
    const auto file = folder.write("model.safetensors", TinyCheckpoint(family).whole().bytes());
    const auto original = open_checkpoint(file);
    const auto converted = convert_checkpoint(original, folder / "model");
    CHECK(converted.bytes > 0);
    // No tokenizer came with it.
    CHECK(converted.notes.size() == original.tokenizers.size());
    const auto model = open_checkpoint(folder / "model");
    CHECK(model.family == family);
    CHECK(model.pipeline_class == original.pipeline_class);
    check_equal_parts(original, model);
    for (const auto& part : original.parts)
      CHECK(nlohmann::json::parse(part.config.dump()) ==
            nlohmann::json::parse(model.find(part.name)->config.dump()));
    CHECK(nlohmann::json::parse(original.scheduler->dump()) ==
          nlohmann::json::parse(model.scheduler->dump()));

    CHECK(convert_checkpoint(model, folder / "again.safetensors").notes.empty());
    const auto again = open_checkpoint(folder / "again.safetensors");
    CHECK(again.family == family);
    check_equal_parts(original, again);
    // Under the names that it had, but for what no network reads.
    const auto before = contents(*original.file);
    for (const auto& [name, tensor] : contents(*again.file)) {
      INFO(name);
      REQUIRE(before.contains(name));
      CHECK((before.at(name) == tensor));
    }
    CHECK(convert_checkpoint(again, folder / "once more").bytes == converted.bytes);
    const fs::path denoiser = original.find("unet") != nullptr ? "unet" : "transformer";
    CHECK((slurp(folder / "once more" / denoiser / "diffusion_pytorch_model.safetensors") ==
           slurp(folder / "model" / denoiser / "diffusion_pytorch_model.safetensors")));
    CHECK(folder.names() ==
          std::vector<std::string>{"again.safetensors", "model", "model.safetensors", "once more"});
  }
}

TEST_CASE("a recorded folder becomes a file and a folder again", "[weights][convert][golden]") {
  for (const std::string name : {"sd1", "sd1_inpaint9", "sd2_v"}) {
    INFO(name);
    const test::TempFolder folder;
    const auto original = open_checkpoint(test::golden("pipelines/" + name));
    CHECK(original.is_whole());
    convert_checkpoint(original, folder / "model.safetensors");
    const auto file =
        open_checkpoint(folder / "model.safetensors", {.configs = test::golden("pipelines/" + name)});
    CHECK(file.family == original.family);
    check_equal_parts(original, file);
    convert_checkpoint(original, folder / "copy/");
    CHECK((slurp(folder / "copy/tokenizer/vocab.json") ==
           slurp(test::golden("pipelines/" + name) / "tokenizer/vocab.json")));
    check_equal_parts(original, open_checkpoint(folder / "copy"));
  }
}

TEST_CASE("a file keeps all its names but the averages", "[weights][convert]") {
  const test::TempFolder folder;
  TinyCheckpoint tiny("sd1");
  tiny.whole().add("betas", {3}).add("odd.one", {2}).add("model_ema.diffusion_modelout2bias", {4});
  const auto file = folder.write("model.safetensors", tiny.bytes());
  convert_checkpoint(open_checkpoint(file), folder / "pruned.safetensors");
  const auto pruned = StateDict::load(folder / "pruned.safetensors");
  CHECK(pruned.contains("odd.one"));
  CHECK(pruned.contains("betas"));
  CHECK(pruned.names().size() + 1 == StateDict::load(file).names().size());
  convert_checkpoint(open_checkpoint(file, {.ema = true}), folder / "averaged.safetensors");
  std::vector<std::byte> a, b;
  const auto averaged = StateDict::load(folder / "averaged.safetensors"), all = StateDict::load(file);
  CHECK(std::ranges::equal(averaged.bytes("model.diffusion_model.out.2.bias", a),
                           all.bytes("model_ema.diffusion_modelout2bias", b)));
}

TEST_CASE("numbers are rounded to the type that is asked for", "[weights][convert]") {
  const test::TempFolder folder;
  weights::SafetensorsWriter writer;
  writer.add("x.lora_up.weight", Tensor<float>::full({3, 70000}, 1.0009765f));
  writer.add("count", Tensor<std::int64_t>::full({2}, 7));
  writer.set_metadata("ss_tag", "kept");
  writer.save(folder / "lora.safetensors");
  const auto lora = open_checkpoint(folder / "lora.safetensors");
  const auto types = [&](DType type) {
    const auto path = folder / (std::string(name(type)) + ".safetensors");
    convert_checkpoint(lora, path, {.type = type});
    return weights::SafetensorsFile::open(path);
  };
  const auto f16 = types(DType::f16), bf16 = types(DType::bf16), f32 = types(DType::f32);
  CHECK(f16.find("x.lora_up.weight")->dtype == DType::f16);
  CHECK(f16.read<float>("x.lora_up.weight").data()[209999] == 1.0009766f);
  CHECK(bf16.read<float>("x.lora_up.weight").data()[209999] == 1.0f);
  CHECK(f32.read<float>("x.lora_up.weight").data()[0] == 1.0009765f);
  CHECK(f16.find("count")->dtype == DType::i64);
  CHECK(f16.metadata().at("ss_tag") == "kept");
  // From half to float and back nothing is lost.
  weights::convert_file(StateDict({f16}), folder / "back.safetensors", {.type = DType::f32});
  weights::convert_file(StateDict::load(folder / "back.safetensors"), folder / "forth.safetensors",
                        {.type = DType::f16});
  CHECK((slurp(folder / "forth.safetensors") == slurp(folder / "F16.safetensors")));

  weights::SafetensorsWriter large;
  large.add("x", Tensor<float>::full({2}, 70000.0f));
  large.save(folder / "large.safetensors");
  const auto dict = StateDict::load(folder / "large.safetensors");
  test::expect_error<WeightError>(
      [&] { weights::convert_file(dict, folder / "no.safetensors", {.type = DType::f16}); },
      {"\"x\"", "too large for F16"});
  CHECK_FALSE(fs::exists(folder / "no.safetensors"));
  test::expect_error<ArgumentError>(
      [&] { weights::convert_file(dict, folder / "no.safetensors", {.type = DType::i8}); },
      {"I8", "F32, F16 or BF16"});
}

TEST_CASE("what is there is replaced only on demand, and nothing half is left", "[weights][convert]") {
  const test::TempFolder folder;
  const auto model =
      open_checkpoint(folder.write("model.safetensors", TinyCheckpoint("sd1").whole().bytes()));
  folder.write("there.safetensors", "mine");
  folder.write("other/notes.txt", "mine");
  folder.write("old/model_index.json", "{}");
  for (const auto* target : {"there.safetensors", "other", "old", "model.safetensors"})
    test::expect_error<FileError>([&, to = folder / target] { convert_checkpoint(model, to); },
                                  {target, "is there already", "--force"});
  test::expect_error<FileError>([&] { convert_checkpoint(model, folder / "other", {.force = true}); },
                                {"a folder of other things"});
  test::expect_error<FileError>([&] { convert_checkpoint(model, folder / "none/x.safetensors"); }, {"none"});
  const auto before = folder.names();

  // Stopped at the first byte, in the middle and before the last, the target is as it was.
  for (const auto* target : {"there.safetensors", "old", "new", "new.safetensors"})
    for (const double share : {0.0, 0.5, 0.99}) {
      std::stop_source stop;
      weights::ConvertOptions options{.force = true, .stop = stop.get_token()};
      options.on_progress = [&](std::uint64_t written, std::uint64_t total) {
        if (static_cast<double>(written) >= share * static_cast<double>(total)) stop.request_stop();
      };
      CHECK_THROWS_AS(convert_checkpoint(model, folder / target, options), Cancelled);
      CHECK(folder.names() == before);
      CHECK((slurp(folder / "there.safetensors") == "mine"));
      CHECK((slurp(folder / "old/model_index.json") == "{}"));
    }
  std::uint64_t last = 0, all = 0;
  convert_checkpoint(model, folder / "old",
                     {.force = true, .on_progress = [&](std::uint64_t written, std::uint64_t total) {
                        CHECK(written >= last);
                        last = written;
                        all = total;
                      }});
  CHECK(last == all);
  CHECK(open_checkpoint(folder / "old").family == "sd1");
  convert_checkpoint(model, folder / "there.safetensors", {.force = true});
  CHECK(open_checkpoint(folder / "there.safetensors").is_whole());
  CHECK(folder.names() == before);
  // Over itself: what is read stays what it was.
  convert_checkpoint(model, folder / "model.safetensors", {.force = true});
  check_equal_parts(model, open_checkpoint(folder / "model.safetensors"));
}

TEST_CASE("parts alone and other pipelines are converted as far as they go", "[weights][convert]") {
  const test::TempFolder folder;
  const auto vae =
      open_checkpoint(folder.write("vae.safetensors", TinyCheckpoint("").autoencoder("").bytes()));
  convert_checkpoint(vae, folder / "vae");
  CHECK(fs::exists(folder / "vae/config.json"));
  const auto part = open_checkpoint(folder / "vae");
  CHECK(part.family == "vae");
  convert_checkpoint(part, folder / "again.safetensors");
  CHECK((contents(StateDict::load(folder / "again.safetensors")) ==
         contents(StateDict::load(folder / "vae.safetensors"))));

  const auto lora = open_checkpoint(
      folder.write("lora.safetensors", TinyCheckpoint("").add("x.lora_up.weight", {2, 2}).bytes()));
  test::expect_error<ConfigError>([&] { convert_checkpoint(lora, folder / "no"); },
                                  {"LoRA", "lora.safetensors"});
  const auto dit = open_checkpoint(test::golden("pipelines/dit"));
  test::expect_error<ConfigError>([&] { convert_checkpoint(dit, folder / "no.safetensors"); },
                                  {"DiTPipeline", "single file"});
  convert_checkpoint(dit, folder / "dit", {.type = DType::bf16});
  CHECK(open_checkpoint(folder / "dit").find("transformer") != nullptr);

  const auto with_tokenizer =
      open_checkpoint(folder.write("sd1.safetensors", TinyCheckpoint("sd1").whole().bytes()));
  const auto converted =
      convert_checkpoint(with_tokenizer, folder / "sd1", {.files = {{"tokenizer/vocab.json", "{}"}}});
  CHECK(converted.notes.empty());
  CHECK((slurp(folder / "sd1/tokenizer/vocab.json") == "{}"));
  test::expect_error<ArgumentError>(
      [&] {
        convert_checkpoint(with_tokenizer, folder / "bad", {.files = {{"../x", "{}"}}});
      },
      {"\"../x\""});
  CHECK_FALSE(fs::exists(folder / "bad"));
}

TEST_CASE("a transformer alone gets its original names back, bit by bit", "[weights][convert][key_map]") {
  for (const std::string family :
       {"sd3", "sd35-medium", "sd35-large", "flux-dev", "flux-schnell", "pixart-alpha"}) {
    INFO(family);
    const test::TempFolder folder;
    const auto file =
        open_checkpoint(folder.write("original.safetensors", TinyCheckpoint(family).transformer("").bytes()));
    convert_checkpoint(file, folder / "model");
    const auto part = open_checkpoint(folder / "model/transformer");
    CHECK(part.family == family);
    convert_checkpoint(part, folder / "again.safetensors");
    auto wanted = contents(*file.file);
    // PixArt's table of positions follows from its configuration.
    std::erase_if(wanted, [&](const auto& item) {
      return family.starts_with("pixart") &&
             (item.first.starts_with("pos_embed[") || item.first.starts_with("y_embedder.y_embedding"));
    });
    CHECK((contents(StateDict::load(folder / "again.safetensors")) == wanted));
  }
  const auto own = weights::with_diffusers_names(TinyCheckpoint("flux-dev").transformer("").weights());
  test::expect_error<WeightError>(
      [&] {
        weights::key_maps::to_original_flux(
            own.renamed({{"transformer_blocks.0.odd.weight", "x_embedder.weight"}}));
      },
      {"\"transformer_blocks.0.odd.weight\"", "no place", "FLUX"});
  test::expect_error<WeightError>(
      [&] {
        weights::key_maps::to_original_flux(own.renamed(
            {{"transformer_blocks.0.attn.to_q.weight", "transformer_blocks.0.attn.to_q.weight"}}));
      },
      {"transformer_blocks.0.attn.to_k.weight", "missing"});
  // What is left behind queries, keys and values is the feed-forward's: there must be as many as these take.
  auto narrow =
      TinyCheckpoint("").add("img_in.weight", {4, 4}).add("double_blocks.0.img_attn.qkv.weight", {12, 4});
  narrow.add("single_blocks.0.linear1.weight", {11, 4}).add("single_blocks.0.linear2.weight", {4, 4});
  test::expect_error<WeightError>([&] { weights::with_diffusers_names(narrow.weights()); },
                                  {"single_blocks.0.linear1.weight", "[11, 4]", "3 times the 4 rows"});
}

TEST_CASE("GGUF files of transformers say what they are and keep what is sensitive",
          "[weights][convert][gguf]") {
  for (const auto& [family, architecture] :
       std::map<std::string, std::string>{{"flux-dev", "flux"}, {"sd3", "sd3"}, {"sd35-medium", "sd3"}}) {
    INFO(family);
    const test::TempFolder folder;
    const auto file =
        open_checkpoint(folder.write("x.safetensors", TinyCheckpoint(family).transformer("").bytes()));
    convert_checkpoint(file, folder / "model");
    // From the file, and from a folder in diffusers' layout.
    for (const auto& source : {file, open_checkpoint(folder / "model/transformer")}) {
      const auto path = folder / "x.gguf";
      convert_checkpoint(source, path, {.type = DType::q8_0, .force = true});
      const auto gguf = weights::GgufFile::open(path);
      CHECK(gguf.values().at("general.architecture").text() == architecture);
      std::size_t blocks = 0;
      for (const auto& info : gguf.tensors()) {
        INFO(info.name);
        blocks += is_block(info.dtype);
        for (const auto* part :
             {"img_in.", "txt_in.", "time_in.", "vector_in.", "guidance_in.", "final_layer.", "x_embedder.",
              "t_embedder.", "y_embedder.", "context_embedder.", "pos_embed"})
          if (info.name.starts_with(part)) CHECK_FALSE(is_block(info.dtype));
        if (info.name.ends_with("qkv.weight")) CHECK(info.dtype == DType::q8_0);
      }
      CHECK(blocks >= 12);
      CHECK(open_checkpoint(path).family == family);
    }
  }
}

TEST_CASE("a T5's table of relative positions stays precise in blocks", "[weights][convert][gguf]") {
  const test::TempFolder folder;
  const std::string bias = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight";
  const auto t5 = TinyCheckpoint("").add(bias, {64, 32}).add("shared.weight", {64, 32}).weights();
  weights::convert_file(t5, folder / "t5.gguf", {.type = DType::q8_0});
  const auto gguf = weights::GgufFile::open(folder / "t5.gguf");
  CHECK(gguf.find(bias)->dtype == DType::f16);
  CHECK(gguf.find("shared.weight")->dtype == DType::q8_0);
}

TEST_CASE("a folder says which vocabulary its T5 lacks", "[weights][convert]") {
  const test::TempFolder folder;
  const auto flux =
      open_checkpoint(folder.write("x.safetensors", TinyCheckpoint("flux-dev")
                                                        .transformer()
                                                        .clip("text_encoders.clip_l.transformer.")
                                                        .t5("text_encoders.t5xxl.transformer.")
                                                        .bytes()));
  const auto notes = convert_checkpoint(flux, folder / "model").notes;
  REQUIRE(notes.size() == 3);
  CHECK(notes[0].starts_with("the vae, an autoencoder, is missing"));
  CHECK(notes[1] == "the tokenizer is missing: put vocab.json and merges.txt into its folder tokenizer");
  CHECK(notes[2] == "the tokenizer_2 is missing: put spiece.model into its folder tokenizer_2");
}
