#include <algorithm>
#include <any>
#include <string>

#include "daguerre/core/error.hpp"
#include "daguerre/models/text_encoders/t5_encoder.hpp"
#include "daguerre/pipeline/component_registry.hpp"
#include "daguerre/text/clip_tokenizer.hpp"
#include "daguerre/text/t5_tokenizer.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using test::expect_error;
using test::golden;

namespace {

/// The recorded encoder (300 rows) and a recorded vocabulary (260 pieces), as parts of a model.
ComponentSource network(const std::string& name = "t5_v1_1", const char* class_name = "T5EncoderModel") {
  ComponentSource part{"text_encoder_2", "transformers", class_name};
  part.folder = golden("text/" + name);
  part.given_weights = weights::StateDict::load(part.folder / "weights.safetensors");
  return part;
}
ComponentSource tokenizer(const std::string& name = "t5_unigram_identity",
                          const char* class_name = "T5TokenizerFast") {
  ComponentSource part{"tokenizer_2", "transformers", class_name};
  part.folder = golden("text/" + name);
  return part;
}

LoadContext load_context(Precision precision = Precision::float32) {
  return {.compute = test::context_for("native"), .precision = precision};
}

Opened<TextEncoder> open(const ComponentSource& network, const ComponentSource& tokenizer) {
  return ComponentRegistry::standard().open_text_encoder(network, tokenizer, load_context());
}

}  // namespace

TEST_CASE("a T5 encoder is a text encoder", "[pipeline][t5]") {
  const auto opened = open(network(), tokenizer());
  CHECK(opened.info.width == 32);
  CHECK(opened.info.width_key.starts_with("d_model in "));
  CHECK(opened.info.most_tokens == 511);
  const auto encoder = opened.load(load_context());
  const auto context = test::context_for("native");
  const std::string prompt = "a small cat, by night";
  const auto words = text::T5Tokenizer::load(golden("text/t5_unigram_identity"));
  const auto window = words.window(prompt, 24);
  REQUIRE(window.padding > 0);

  const models::T5Encoder<float> direct(models::T5EncoderConfig::from(network().config()),
                                        {*network().given_weights, context});
  const auto ids = Tensor<std::int32_t>::copy_of({1, 24}, window.ids);
  auto mask = Tensor<float>::full({1, 24}, 1.0f);
  std::fill(mask.span().end() - window.padding, mask.span().end(), 0.0f);
  for (const bool masks : {false, true}) {
    const auto output = encoder->encode(context, prompt, {.max_sequence_length = 24, .masks_padding = masks});
    CHECK(output.states.shape() == Shape{1, 24, 32});
    CHECK(output.pooled.empty());
    CHECK(test::difference(output.mask, mask).max_abs == 0.0);
    CHECK(test::difference(output.states, direct(context, ids, masks ? &mask : nullptr)).max_abs == 0.0);
  }
  // The files' own length.
  CHECK(encoder->encode(context, "a", {}).states.shape() == Shape{1, 512, 32});
  CHECK(encoder->lost(prompt).empty());
  CHECK(encoder->lost(prompt, 5) == words.window(prompt, 5).lost);
  CHECK(opened.prompts->lost(prompt, 5) == words.window(prompt, 5).lost);
  CHECK_FALSE(encoder->lost(prompt, 5).empty());
  encoder->check(prompt, "prompt");
  expect_error<ArgumentError>([&] { encoder->encode(context, prompt, {.skip = 1}); }, {"text_encoder_2"});
  expect_error<ArgumentError>([&] { encoder->encode(context, prompt, {.max_sequence_length = -1}); }, {"-1"});

  const auto rounded = opened.load(load_context(Precision::bfloat16));
  CHECK(test::difference(rounded->encode(context, prompt, {.max_sequence_length = 24}).states,
                         encoder->encode(context, prompt, {.max_sequence_length = 24}).states)
            .rel_l2 < 2e-2);
}

TEST_CASE("UMT5 is a text encoder, too", "[pipeline][t5]") {
  auto words = tokenizer();
  words.given_tokenizer = text::T5Tokenizer::load(words.folder);
  words.folder.clear();
  const auto encoder = open(network("umt5", "UMT5EncoderModel"), words).load(load_context());
  CHECK(encoder->encode(test::context_for("native"), "a cat", {.max_sequence_length = 8}).states.shape() ==
        Shape{1, 8, 24});
}

TEST_CASE("a tokenizer that a T5 encoder does not take is refused", "[pipeline][t5]") {
  expect_error<ConfigError>([] { open(network(), tokenizer("t5_unigram_identity", "CLIPTokenizer")); },
                            {"\"CLIPTokenizer\"", "T5TokenizerFast", "PreTrainedTokenizerFast"});
  auto words = tokenizer();
  words.given_tokenizer = text::ClipTokenizer::load(golden("text/tiny_clip_tokenizer"));
  expect_error<ConfigError>([&] { open(network(), words); }, {"tokenizer_2", "another kind"});
  // 560 pieces for 300 rows: prompts are refused where one of them is met; the network is not asked.
  const auto prompts = open(network(), tokenizer("t5_unigram_byte_fallback")).prompts;
  REQUIRE(prompts != nullptr);
  prompts->check("", "prompt");
  expect_error<ArgumentError>([&] { prompts->check("literal", "negative prompt"); },
                              {"negative prompt", "number ", "560 tokens", "300 rows"});
}
