#include <algorithm>
#include <cmath>

#include "daguerre/media/infotext.hpp"
#include "daguerre/pipeline/embedding.hpp"
#include "daguerre/pipeline/pipeline.hpp"
#include "daguerre/weights/safetensors.hpp"
#include "pipeline/lora_tags.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"

using namespace daguerre;
using namespace daguerre::test;

namespace {

const Pipeline& tiny() {
  static const auto pipeline = Pipeline::load(
      golden("pipelines/sd1"), {.precision = Precision::float32, .engine = "native", .threads = 1});
  return pipeline;
}

Request order(const std::string& prompt, PromptSyntax syntax) {
  Request request;
  request.prompt = prompt;
  request.prompt_syntax = syntax;
  request.size = {.width = 16, .height = 16};
  request.sampling.steps = 4;
  request.sampling.seed = 3;
  return request;
}

std::vector<float> latents_of(const Request& request) {
  const auto latents = tiny().generate(request).latents;
  return {latents.span().begin(), latents.span().end()};
}

}  // namespace

TEST_CASE("a prompt without syntax gives the same picture in the web UI's language", "[pipeline][prompts]") {
  const auto plain = latents_of(order("a cat", PromptSyntax::plain));
  CHECK(latents_of(order("a cat", PromptSyntax::a1111)) == plain);
  CHECK(latents_of(order("a cat", PromptSyntax::comfyui)) == plain);
  CHECK(latents_of(order("(a cat:1.5)", PromptSyntax::plain)) != plain);
  for (const auto syntax : {PromptSyntax::a1111, PromptSyntax::comfyui})
    CHECK(latents_of(order("a (cat:1.5)", syntax)) != plain);
  CHECK(latents_of(order("a cat++", PromptSyntax::compel)) != plain);
}

TEST_CASE("edited prompts change during the run, and AND composes", "[pipeline][prompts]") {
  const auto cat = latents_of(order("a cat", PromptSyntax::a1111));
  CHECK(latents_of(order("a [cat:dog:1.0]", PromptSyntax::a1111)) == cat);
  const auto edited = latents_of(order("a [cat:dog:0.5]", PromptSyntax::a1111));
  CHECK(edited != cat);
  CHECK(edited != latents_of(order("a dog", PromptSyntax::a1111)));
  CHECK(latents_of(order("a [cat:dog:0.5]", PromptSyntax::a1111)) == edited);
  CHECK(latents_of(order("a cat AND a dog :0", PromptSyntax::a1111)).size() == cat.size());
  CHECK(latents_of(order("a cat AND a dog", PromptSyntax::a1111)) != cat);
  auto unguided = order("a cat AND a dog", PromptSyntax::a1111);
  unguided.guidance.scale = 1.0f;
  expect_error<ArgumentError>([&] { (void)tiny().generate(unguided); }, {"classifier-free guidance"});
}

TEST_CASE("long prompts go through windows, and the settings say how", "[pipeline][prompts]") {
  std::string words;
  for (int i = 0; i < 100; ++i) words += "cat ";
  for (const auto syntax : {PromptSyntax::a1111, PromptSyntax::comfyui, PromptSyntax::compel}) {
    const auto made = tiny().generate(order(words, syntax));
    CHECK(made.warnings.empty());
    const auto text = parse_infotext(made.infotexts.at(0));
    const auto found = std::find_if(text.parameters.begin(), text.parameters.end(),
                                    [](const auto& entry) { return entry.first == "Prompt syntax"; });
    REQUIRE(found != text.parameters.end());
    CHECK(found->second == name_of(syntax));
  }
  CHECK_FALSE(tiny().generate(order(words, PromptSyntax::plain)).warnings.empty());
}

TEST_CASE("LoRAs that a prompt names must be there", "[pipeline][prompts]") {
  expect_error<ArgumentError>(
      [] { (void)tiny().generate(order("a cat <lora:style:0.5>", PromptSyntax::a1111)); }, {"style"});
  expect_error<ArgumentError>(
      [] { (void)tiny().generate(order("a cat <hypernet:x:1>", PromptSyntax::a1111)); },
      {"<hypernet:...> names no LoRA"});
  // What prompts for several encoders say alike counts once.
  auto several = order("a cat <lora:a:0.5>", PromptSyntax::a1111);
  several.prompt_2 = "a cat <lora:a:0.5> <lora:b:1> <lora:a:1>";
  const auto named =
      with_named_loras(several, [](std::string_view) { return std::shared_ptr<const Lora>(); });
  REQUIRE(named.loras.size() == 3);
  CHECK(named.loras[0].weight == 0.5f);
  CHECK(named.loras[2].weight == 1.0f);
  auto negative = order("a cat", PromptSyntax::compel);
  negative.negative_prompt = "a dog withLora(style, 0.5)";
  expect_error<ArgumentError>([&] { (void)tiny().generate(negative); },
                              {"withLora() is in a negative prompt"});
}

TEST_CASE("textual inversions are used by name, and leave the model as it was", "[pipeline][prompts]") {
  const auto before = latents_of(order("a style cat", PromptSyntax::plain));
  const auto style =
      Embedding::load(golden("adapters/textual_inversion_sd1") / "learned_embeds_multi.safetensors", "style");
  for (const auto syntax : {PromptSyntax::plain, PromptSyntax::a1111}) {
    auto request = order("a style cat", syntax);
    request.embeddings = {style};
    CHECK(latents_of(request) != before);
  }
  CHECK(latents_of(order("a style cat", PromptSyntax::plain)) == before);
}

TEST_CASE("a file that holds no textual inversion for the model is refused", "[pipeline][prompts]") {
  const TempFolder folder;
  const auto save = [&](const std::string& key, const Tensor<float>& tensor) {
    weights::SafetensorsWriter writer;
    writer.add(key, tensor);
    writer.add("another", tensor);
    writer.save(folder.path() / "e.safetensors");
    return folder.path() / "e.safetensors";
  };
  expect_error<WeightError>(
      [&] {
        (void)Embedding::load(save("x", Tensor<float>::zeros({1, 4})));
      },
      {"no textual inversion", "\"another\""});
  expect_error<WeightError>(
      [&] {
        (void)Embedding::load(save("emb_params", Tensor<float>::zeros({1, 2, 4})));
      },
      {"emb_params", "[1, 2, 4]"});
  expect_error<WeightError>(
      [&] {
        (void)Embedding::load(save("emb_params", Tensor<float>::full({1, 4}, std::nanf(""))));
      },
      {"not finite"});
  auto request = order("a e cat", PromptSyntax::a1111);
  request.embeddings = {Embedding::load(save("emb_params", Tensor<float>::zeros({1, 4})))};
  expect_error<ArgumentError>([&] { (void)tiny().generate(request); },
                              {"4 numbers", "text_encoder reads 16"});
  // In a folder it may lie among others.
  (void)tiny().generate([&] {
    auto with_folder = request;
    with_folder.embeddings = load_embeddings(folder.path());
    REQUIRE(with_folder.embeddings.size() == 1);
    return with_folder;
  }());
  (void)save("x", Tensor<float>::zeros({1, 4}));
  CHECK(load_embeddings(folder.path()).empty());
}

TEST_CASE("prompts that cannot be read in time, and mixtures of nothing, are refused",
          "[pipeline][prompts]") {
  const auto refused = [](const Request& request, std::string_view what) {
    expect_error<ArgumentError>([&] { (void)tiny().generate(request); }, {what});
  };
  auto request = order("a cat", PromptSyntax::comfyui);
  request.negative_prompt_2 = std::string((std::size_t{128} << 10) + 1, '(');
  refused(request, "131072 are the most");
  refused(order("(\"a\", \"b\").blend(1, -1)", PromptSyntax::compel), "the weights of .blend()");
}
