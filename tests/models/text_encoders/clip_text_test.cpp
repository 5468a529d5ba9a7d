#include "daguerre/models/text_encoders/clip_text.hpp"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "daguerre/core/error.hpp"
#include "daguerre/weights/safetensors.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using models::ClipText;
using models::ClipTextConfig;
using nlohmann::json;
using test::expect_error;

namespace {

ClipTextConfig read(const json& config) {
  return ClipTextConfig::from(Config::parse(config.dump(), "config.json"));
}

json with_class(json config, const char* name = "CLIPTextModel") {
  config["_class_name"] = name;
  return config;
}

/// The recorded encoder of that name, and its configuration with `changes`.
ClipText<float> recorded(const std::string& name, const std::string& engine,
                         const json& changes = json::object()) {
  const auto folder = test::golden("text/" + name);
  const auto config = Config::load(folder / "config.json").with(changes.dump());
  return {ClipTextConfig::from(config),
          {weights::StateDict::load(folder / "weights.safetensors"), test::context_for(engine)}};
}

Tensor<std::int32_t> ids_of(const std::vector<std::int32_t>& ids) {
  return Tensor<std::int32_t>::copy_of({1, static_cast<Index>(ids.size())}, ids);
}

bool equal(const Tensor<float>& a, const Tensor<float>& b) {
  return a.shape() == b.shape() && std::equal(a.span().begin(), a.span().end(), b.span().begin());
}

}  // namespace

TEST_CASE("what a text encoder's configuration leaves out is transformers' default", "[models][clip_text]") {
  const auto config = read(with_class(json::object()));
  CHECK(config.vocab_size == 49408);
  CHECK(config.hidden_size == 512);
  CHECK(config.intermediate_size == 2048);
  CHECK(config.num_hidden_layers == 12);
  CHECK(config.num_attention_heads == 8);
  CHECK(config.max_position_embeddings == 77);
  CHECK(config.hidden_act == ops::Activation::quick_gelu);
  CHECK(config.layer_norm_eps == 1e-5f);
  CHECK(config.eos_token_id == 49407);
  CHECK(config.projection_dim == 0);
  CHECK_FALSE(config.use_attention_mask);
  CHECK(read(with_class(json::object(), "CLIPTextModelWithProjection")).projection_dim == 512);
}

TEST_CASE("every option of a text encoder is read", "[models][clip_text]") {
  const auto config = read(with_class({{"vocab_size", 10},
                                       {"hidden_size", 24},
                                       {"intermediate_size", 7},
                                       {"num_hidden_layers", 3},
                                       {"num_attention_heads", 4},
                                       {"max_position_embeddings", 9},
                                       {"hidden_act", "gelu_new"},
                                       {"layer_norm_eps", 1e-3},
                                       {"eos_token_id", 5},
                                       {"projection_dim", 11},
                                       {"use_attention_mask", true}},
                                      "CLIPTextModelWithProjection"));
  CHECK(config.vocab_size == 10);
  CHECK(config.hidden_size == 24);
  CHECK(config.intermediate_size == 7);
  CHECK(config.num_hidden_layers == 3);
  CHECK(config.num_attention_heads == 4);
  CHECK(config.max_position_embeddings == 9);
  CHECK(config.hidden_act == ops::Activation::gelu_tanh);
  CHECK(config.layer_norm_eps == 1e-3f);
  CHECK(config.eos_token_id == 5);
  CHECK(config.projection_dim == 11);
  CHECK(config.use_attention_mask);
}

TEST_CASE("a whole CLIP's configuration holds the text encoder's", "[models][clip_text]") {
  // As transformers 4.19 wrote it, with attributes that every configuration then had.
  const json text{{"_name_or_path", ""},
                  {"add_cross_attention", false},
                  {"attention_dropout", 0.0},
                  {"bos_token_id", 0},
                  {"chunk_size_feed_forward", 0},
                  {"diversity_penalty", 0.0},
                  {"eos_token_id", 2},
                  {"hidden_act", "gelu"},
                  {"hidden_size", 32},
                  {"id2label", {{"0", "A"}}},
                  {"intermediate_size", 64},
                  {"length_penalty", 1.0},
                  {"max_length", 20},
                  {"model_type", "clip_text_model"},
                  {"num_attention_heads", 4},
                  {"num_beams", 1},
                  {"pruned_heads", json::object()},
                  {"return_dict", true},
                  {"temperature", 1.0},
                  {"tie_word_embeddings", true},
                  {"top_k", 50},
                  {"top_p", 1.0},
                  {"torch_dtype", nullptr},
                  {"transformers_version", "4.19.2"},
                  {"typical_p", 1.0},
                  {"vocab_size", 99}};
  const json whole{{"architectures", {"CLIPModel"}},
                   {"initializer_factor", 1.0},
                   {"logit_scale_init_value", 2.6592},
                   {"model_type", "clip"},
                   {"projection_dim", 40},
                   {"text_config", text},
                   {"text_config_dict", nullptr},
                   {"vision_config", {{"hidden_size", 999}}}};
  const auto config = read(with_class(whole));
  CHECK(config.hidden_size == 32);
  CHECK(config.vocab_size == 99);
  CHECK(config.hidden_act == ops::Activation::gelu);
  CHECK(config.num_hidden_layers == 12);  // the nested one's own default
  CHECK(config.eos_token_id == 2);
  // The projection is as wide as the text encoder's own configuration says.
  CHECK(read(with_class(whole, "CLIPTextModelWithProjection")).projection_dim == 512);

  json odd = whole;
  odd["text_config"]["an_option"] = 1;
  expect_error<ConfigError>([&] { read(with_class(odd)); }, {"config.json, text_config", "\"an_option\""});
  odd = whole;
  odd["text_config"]["model_type"] = "bert";
  expect_error<ConfigError>([&] { read(with_class(odd)); }, {"text_config", "bert"});
}

TEST_CASE("text encoders that cannot be are refused", "[models][clip_text]") {
  const auto refuses = [](const json& config, std::initializer_list<std::string_view> parts) {
    INFO(config.dump());
    expect_error<ConfigError>([&] { read(config); }, parts);
  };
  refuses({{"architectures", {"T5EncoderModel"}}}, {"\"T5EncoderModel\" is not CLIPTextModel"});
  refuses(with_class({{"model_type", "t5"}}), {"model_type", "t5"});
  refuses(with_class({{"hidden_act", "sine"}}), {"sine"});
  refuses(with_class({{"hidden_size", 10}, {"num_attention_heads", 3}}), {"must divide"});
  refuses(with_class({{"num_hidden_layers", 0}}), {"positive"});
  refuses(with_class({{"projection_dim", 0}}, "CLIPTextModelWithProjection"), {"positive"});
  refuses(with_class({{"pruned_heads", {{"0", {1}}}}}), {"pruned_heads"});
  refuses(with_class({{"quantization_config", {{"load_in_8bit", true}}}}), {"quantization_config"});
  refuses(with_class({{"an_option", 1}}), {"an_option"});
  CHECK(read(with_class({{"projection_dim", 0}, {"model_type", "clip"}})).projection_dim == 0);
}

TEST_CASE("the text is pooled at its end", "[models][clip_text][golden]") {
  for (const auto& engine : ops::engine_names()) {
    INFO(engine);
    ops::Context context;
    context.engine = ops::make_engine(engine);
    context.threads = 1;
    // 633 is the largest id; behind it an added token has a larger one.
    const auto pooled_at = [&](int eos, const std::vector<std::int32_t>& ids) {
      const auto clip = recorded("clip_l", engine, {{"eos_token_id", eos}});
      const auto output = clip(context, ids_of(ids));
      for (Index i = 0; i < output.last_hidden_state.dim(1); ++i) {
        const auto row = output.last_hidden_state.data() + i * output.pooled.dim(1);
        if (std::equal(row, row + output.pooled.dim(1), output.pooled.data())) return i;
      }
      return Index{-1};
    };
    CHECK(pooled_at(2, {632, 5, 633, 7, 633}) == 2);
    CHECK(pooled_at(7, {632, 5, 633, 7, 7}) == 3);
    CHECK(pooled_at(9, {632, 5, 633}) == 0);  // there is none
  }
}

TEST_CASE("a masked token is not looked at", "[models][clip_text][golden]") {
  for (const auto& engine : ops::engine_names()) {
    INFO(engine);
    ops::Context context;
    context.engine = ops::make_engine(engine);
    context.threads = 1;
    const auto clip = recorded("clip_l", engine);
    const auto first = ids_of({632, 5, 17, 200, 633, 633, 633}),
               other = ids_of({632, 5, 444, 200, 633, 9, 10});
    const auto mask = Tensor<float>::copy_of({1, 7}, std::vector<float>{1, 1, 0, 1, 1, 0, 0});
    const auto all = Tensor<float>::full({1, 7}, 1.0f);

    const auto masked = clip(context, first, &mask).last_hidden_state;
    const auto changed = clip(context, other, &mask).last_hidden_state;
    const auto plain = clip(context, first).last_hidden_state;
    CHECK(equal(clip(context, first, &all).last_hidden_state, plain));
    const Index width = masked.dim(2);
    const auto row = [&](const Tensor<float>& x, Index i) {
      return x.span().subspan(static_cast<std::size_t>(i * width), static_cast<std::size_t>(width));
    };
    for (const Index i : {0, 1, 3, 4}) {
      INFO("row " << i);
      CHECK(std::ranges::equal(row(masked, i), row(changed, i)));
      // What comes before the first masked token sees no difference, what comes behind it does.
      CHECK(std::ranges::equal(row(masked, i), row(plain, i)) == (i < 2));
    }
    CHECK_FALSE(std::ranges::equal(row(masked, 2), row(changed, 2)));
    for (const float value : masked.span()) REQUIRE(std::isfinite(value));
    const auto wrong = Tensor<float>::full({1, 6}, 1.0f);
    expect_error<ArgumentError>([&] { clip(context, first, &wrong); }, {"mask [1, 6]", "[1, 7]"});
  }
}
