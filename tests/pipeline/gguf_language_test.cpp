#include "pipeline/gguf_language.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "daguerre/models/language/causal_lm.hpp"
#include "daguerre/models/language/language_names.hpp"
#include "daguerre/pipeline/language_model.hpp"
#include "daguerre/text/language_tokenizer.hpp"
#include "daguerre/weights/gguf_writer.hpp"
#include "daguerre/weights/random_tensors.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"
#include "text/sentencepiece_files.hpp"

using namespace daguerre;
using nlohmann::json;
using weights::GgufFile;
using weights::GgufWriter;

namespace {

/// A model as transformers keeps it: its configuration, and tensors under its names.
struct TransformersModel {
  json config;
  std::map<std::string, Tensor<float>> tensors;

  models::LanguageConfig shape() const {
    return models::LanguageConfig::from(Config::parse(config.dump(), "config.json"));
  }
  std::string type() const { return config["model_type"]; }
  bool is_gemma() const { return type().starts_with("gemma"); }
  weights::SafetensorsWriter file() const {
    weights::SafetensorsWriter writer;
    for (const auto& [name, tensor] : tensors) writer.add(name, tensor);
    return writer;
  }
};

json updated(json config, const json& changes) {
  config.update(changes);
  return config;
}

/// Of a recorded case, what reads pictures left out.
TransformersModel recorded_model(const std::string& name, const json& changes = json::object()) {
  const auto folder = test::golden("lm/" + name);
  TransformersModel model{updated(json::parse(test::read_file(folder / "config.json")), changes), {}};
  const auto state = weights::StateDict::load(folder / "weights.safetensors");
  for (const auto& each : state.names())
    if (!each.starts_with("visual.")) model.tensors[each] = state.tensor(each, state.shape(each));
  return model;
}

/// Of a small shape with what `changes` say, and random weights.
TransformersModel random_model(const json& changes) {
  TransformersModel model{updated({{"model_type", "llama"},
                                   {"vocab_size", 96},
                                   {"hidden_size", 64},
                                   {"intermediate_size", 96},
                                   {"num_hidden_layers", 2},
                                   {"num_attention_heads", 4},
                                   {"num_key_value_heads", 2},
                                   {"max_position_embeddings", 64}},
                                  changes),
                          {}};
  const weights::StateDict state({std::make_shared<const weights::RandomTensors>(1, DType::f32)}, "random");
  const auto context = test::context_for("native");
  const models::CausalLm<float> asks(model.shape(), {weights::Scope(state), context});
  unsigned seed = 0;
  for (const auto& name : state.names()) {
    const auto shape = state.shape(name);
    const bool is_matrix = shape.rank() == 2;
    auto tensor =
        test::random_tensor(shape, ++seed, is_matrix ? 1.5f / std::sqrt(static_cast<float>(shape[1])) : 0.3f);
    if (!is_matrix && name.ends_with(".weight"))
      for (float& value : tensor.span()) value += 1.0f;
    model.tensors[name.starts_with("lm_head.") ? name : "model." + name] = tensor;
  }
  return model;
}

/// How a tensor of that name in a GGUF file is to be stored, where its rows are whole blocks.
using TypeOf = std::function<DType(std::string_view name)>;

DType type_of(const TypeOf& types, std::string_view name, const Shape& shape) {
  // What llama.cpp keeps as it is.
  if (shape.rank() < 2 || name == "position_embd.weight") return DType::f32;
  const auto type = types(name);
  return shape[-1] % block_of(type).elements == 0 ? type : DType::f32;
}

DType all_f32(std::string_view /*name*/) {
  return DType::f32;
}
DType all_q8_0(std::string_view /*name*/) {
  return DType::q8_0;
}
/// The way files of four bits keep what matters more in other types.
DType mixture(std::string_view name) {
  if (name.ends_with("attn_v.weight") || name == "output.weight") return DType::q8_0;
  if (name.ends_with("ffn_down.weight")) return DType::q5_1;
  if (name.ends_with("attn_k.weight")) return DType::f16;
  return name == "token_embd.weight" ? DType::bf16 : DType::q4_0;
}

Tensor<float> transposed(const Tensor<float>& matrix) {
  const Index rows = matrix.dim(0), columns = matrix.dim(1);
  Tensor<float> result({columns, rows});
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < columns; ++j)
      result.data()[j * rows + i] = matrix.span()[static_cast<std::size_t>(i * columns + j)];
  return result;
}

std::shared_ptr<const std::vector<std::byte>> kept(std::vector<std::byte> bytes) {
  return std::make_shared<const std::vector<std::byte>>(std::move(bytes));
}

/// What a type leaves of the numbers.
Tensor<float> rounded(const Tensor<float>& tensor, DType type) {
  GgufWriter writer;
  writer.add("x", tensor, type);
  const auto file = GgufFile::from_memory(kept(writer.to_bytes()), "x.gguf");
  return file.floats(*file.find("x"));
}

/// What llama.cpp's convert_hf_to_gguf.py makes of a model.
class Conversion {
 public:
  Conversion(const TransformersModel& model, TypeOf types) : model_(model), types_(std::move(types)) {}

  /// The same model with weights rounded as the file's are.
  TransformersModel rounded_model() const {
    auto result = model_;
    for (auto& [name, tensor] : result.tensors) {
      const bool turned = is_turned(name);
      const auto rows = turned ? transposed(tensor) : tensor;
      const auto type = type_of(types_, gguf_name(name), rows.shape());
      tensor = turned ? transposed(rounded(rows, type)) : rounded(rows, type);
    }
    return result;
  }

  GgufWriter file() const {
    GgufWriter writer;
    describe(writer);
    for (const auto& [name, tensor] : model_.tensors) {
      const auto stored = gguf_tensor(name, tensor);
      writer.add(gguf_name(name), stored, type_of(types_, gguf_name(name), stored.shape()));
    }
    if (const auto scaling = scaling_type(); scaling == "llama3") writer.add("rope_freqs.weight", divisors());
    return writer;
  }

 private:
  std::string architecture() const {
    if (model_.type() == "gemma3_text") return "gemma3";
    return model_.type() == "mistral" ? "llama" : model_.type();
  }
  bool is_llama() const { return architecture() == "llama"; }

  /// GPT-2's matrices have their inputs first.
  bool is_turned(const std::string& name) const {
    return model_.type() == "gpt2" && name.ends_with(".weight") && name.find(".c_") != name.npos;
  }

  std::string gguf_name(std::string name) const {
    struct Names {
      std::string_view transformers, gguf;
    };
    constexpr std::array modules{
        Names{"embed_tokens", "token_embd"},
        Names{"wte", "token_embd"},
        Names{"wpe", "position_embd"},
        Names{"norm", "output_norm"},
        Names{"ln_f", "output_norm"},
        Names{"lm_head", "output"},
        Names{"input_layernorm", "attn_norm"},
        Names{"ln_1", "attn_norm"},
        Names{"self_attn.q_proj", "attn_q"},
        Names{"self_attn.k_proj", "attn_k"},
        Names{"self_attn.v_proj", "attn_v"},
        Names{"attn.c_attn", "attn_qkv"},
        Names{"self_attn.o_proj", "attn_output"},
        Names{"attn.c_proj", "attn_output"},
        Names{"self_attn.q_norm", "attn_q_norm"},
        Names{"self_attn.k_norm", "attn_k_norm"},
        Names{"ln_2", "ffn_norm"},
        Names{"pre_feedforward_layernorm", "ffn_norm"},
        Names{"post_feedforward_layernorm", "post_ffw_norm"},
        Names{"mlp.gate_proj", "ffn_gate"},
        Names{"mlp.up_proj", "ffn_up"},
        Names{"mlp.c_fc", "ffn_up"},
        Names{"mlp.down_proj", "ffn_down"},
        Names{"mlp.c_proj", "ffn_down"},
    };
    std::string before;
    for (const std::string_view prefix : {"model.", "transformer."})
      if (name.starts_with(prefix)) name = name.substr(prefix.size());
    for (const std::string_view prefix : {"layers.", "h."})
      if (name.starts_with(prefix)) {
        const auto end = name.find('.', prefix.size());
        before = "blk." + name.substr(prefix.size(), end + 1 - prefix.size());
        name = name.substr(end + 1);
      }
    const auto kind = name.rfind('.');
    const auto module = name.substr(0, kind);
    if (module == "post_attention_layernorm")
      return before + (model_.shape().norms_after ? "post_attention_norm" : "ffn_norm") + name.substr(kind);
    for (const auto& each : modules)
      if (each.transformers == module) return before + std::string(each.gguf) + name.substr(kind);
    FAIL("no name for " << name);
    return {};
  }

  Tensor<float> gguf_tensor(const std::string& name, const Tensor<float>& tensor) const {
    if (is_turned(name)) return transposed(tensor);
    const bool is_query = name.find(".q_proj.") != name.npos, is_key = name.find(".k_proj.") != name.npos;
    if (is_llama() && (is_query || is_key)) return interleaved(tensor);
    auto result = tensor;
    if (model_.is_gemma() && name.ends_with("norm.weight"))
      for (float& value : result.span()) value += 1.0f;
    return result;
  }

  /// Rows of each head as pairs that are turned together stand side by side.
  Tensor<float> interleaved(const Tensor<float>& tensor) const {
    const Index head = model_.shape().head_dim, width = tensor.rank() == 2 ? tensor.dim(1) : 1;
    Tensor<float> result(tensor.shape());
    for (Index row = 0; row < tensor.dim(0); ++row) {
      const Index inside = row % head, half = head / 2;
      const Index to = row - inside + 2 * (inside % half) + inside / half;
      std::copy_n(tensor.span().data() + row * width, width, result.data() + to * width);
    }
    return result;
  }

  json scaling() const {
    return model_.config.contains("rope_scaling") ? model_.config["rope_scaling"] : json();
  }
  std::string scaling_type() const {
    const auto all = scaling();
    return all.is_object() ? all.value("rope_type", all.value("type", "")) : "";
  }

  /// Llama 3's scaling, as numbers that frequencies are divided by.
  Tensor<float> divisors() const {
    const auto all = scaling();
    const auto shape = model_.shape();
    const double factor = all["factor"], low = all["low_freq_factor"], high = all["high_freq_factor"],
                 original = all["original_max_position_embeddings"];
    Tensor<float> result({shape.head_dim / 2});
    for (Index i = 0; i < result.size(); ++i) {
      const double wave =
          2.0 * std::acos(-1.0) *
          std::pow(shape.rotary.theta, 2.0 * static_cast<double>(i) / static_cast<double>(shape.head_dim));
      const double smooth = (original / wave - low) / (high - low);
      result.data()[i] =
          static_cast<float>(wave < original / high  ? 1.0
                             : wave > original / low ? factor
                                                     : 1.0 / ((1.0 - smooth) / factor + smooth));
    }
    return result;
  }

  void describe(GgufWriter& writer) const {
    const auto shape = model_.shape();
    const auto set = [&](const std::string& key, weights::GgufMetadata value) {
      writer.set(architecture() + "." + key, std::move(value));
    };
    const auto size = [&](const std::string& key, Index value) {
      set(key, static_cast<std::uint32_t>(value));
    };
    const bool is_gpt2 = model_.type() == "gpt2";
    writer.set("general.architecture", architecture());
    writer.set("general.quantization_version", std::uint32_t{2});
    size("block_count", shape.num_hidden_layers);
    size("context_length", shape.max_position_embeddings);
    size("embedding_length", shape.hidden_size);
    size("feed_forward_length", shape.intermediate_size);
    size("attention.head_count", shape.num_attention_heads);
    set(is_gpt2 ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", shape.norm_epsilon);
    if (is_gpt2) return;
    size("attention.head_count_kv", shape.num_key_value_heads);
    if (model_.config.contains("head_dim")) {
      size("attention.key_length", shape.head_dim);
      size("attention.value_length", shape.head_dim);
    }
    if (is_llama()) {
      size("vocab_size", shape.vocab_size);
      size("rope.dimension_count", shape.head_dim);
    }
    // The first two of Gemma's files do not say what they all have.
    if (!model_.is_gemma() || architecture() == "gemma3")
      set("rope.freq_base", static_cast<float>(shape.rotary.theta));
    if (architecture() == "gemma2") {
      set("attn_logit_softcapping", shape.attention_soft_cap);
      set("final_logit_softcapping", shape.logit_soft_cap);
    }
    if (architecture() == "gemma2" || architecture() == "gemma3")
      size("attention.sliding_window", model_.config["sliding_window"].get<Index>());
    if (scaling_type() == "linear" || scaling_type() == "yarn") {
      set("rope.scaling.type", scaling_type());
      set("rope.scaling.factor", scaling()["factor"].get<float>());
    }
    if (scaling_type() == "yarn")
      size("rope.scaling.original_context_length",
           scaling()["original_max_position_embeddings"].get<Index>());
  }

  const TransformersModel& model_;
  TypeOf types_;
};

/// The logits of a few tokens, more than windows are wide.
Tensor<float> logits_of(const models::LanguageConfig& config, const weights::StateDict& state) {
  const auto context = test::context_for("native");
  const models::CausalLm<float> model(config, {weights::Scope(state), context});
  models::CausalLmInputs<float> inputs;
  inputs.input_ids = Tensor<std::int32_t>({1, 24});
  for (Index i = 0; i < 24; ++i)
    inputs.input_ids.data()[i] = static_cast<std::int32_t>((7 + 13 * i * i) % 96);
  return model(context, inputs).logits;
}

/// A GGUF file gives the logits of transformers' files with the same numbers.
void check_logits(const TransformersModel& original, const TypeOf& types) {
  const auto model = Conversion(original, types).rounded_model();
  const auto file =
      GgufFile::from_memory(kept(Conversion(model, types).file().to_bytes()), model.type() + ".gguf");
  const auto source = weights::SafetensorsFile::from_memory(kept(model.file().to_bytes()), "safetensors");
  const auto expected = logits_of(model.shape(), models::with_language_names(weights::StateDict({source})));
  const auto state = gguf_language_weights(file);
  const auto actual = logits_of(gguf_language_config(file), state);
  CHECK(test::difference(actual, expected).rel_l2 < 1e-6);
  CHECK(state.unused().empty());
}

json small_gemma3(const json& changes = json::object()) {
  return updated({{"model_type", "gemma3_text"},
                  {"num_hidden_layers", 7},
                  {"head_dim", 32},
                  {"query_pre_attn_scalar", 32},
                  {"sliding_window", 5}},
                 changes);
}

}  // namespace

TEST_CASE("GGUF language models give the logits of the files they were made from", "[pipeline][language]") {
  const auto check = [](const std::string& name, const TransformersModel& model) {
    INFO(name);
    check_logits(model, all_f32);
    check_logits(model, all_q8_0);
  };
  const json plain{{"rope_scaling", nullptr}};
  check("llama", recorded_model("llama_rope_dynamic", plain));
  check("gemma", recorded_model("gemma"));
  // A file does not hold this: it is the width of a head but in the largest models.
  check("gemma2", recorded_model("gemma2", {{"query_pre_attn_scalar", 12}}));
  check("gpt2", recorded_model("gpt2"));
  check("qwen3", recorded_model("qwen3_untied_bf16"));
  check("qwen2", recorded_model("qwen2_5_vl_text", updated(plain, {{"model_type", "qwen2"}})));
  check("gemma3", random_model(small_gemma3()));
  check("gemma3 of pictures",
        random_model(small_gemma3({{"rope_scaling", {{"rope_type", "linear"}, {"factor", 8.0}}}})));
  check("llama linear", random_model({{"rope_scaling", {{"type", "linear"}, {"factor", 2.5}}}}));
  const TransformersModel llama3 = random_model({{"attention_bias", true},
                                                 {"mlp_bias", true},
                                                 {"rope_theta", 500.0},
                                                 {"rope_scaling",
                                                  {{"rope_type", "llama3"},
                                                   {"factor", 8.0},
                                                   {"low_freq_factor", 1.0},
                                                   {"high_freq_factor", 4.0},
                                                   {"original_max_position_embeddings", 32}}}});
  check("llama3", llama3);
  check_logits(llama3, mixture);
  check("yarn",
        random_model({{"model_type", "qwen2"},
                      {"rope_scaling",
                       {{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 16}}}}));
}

namespace {

/// `tokenizer.ggml.*` as llama.cpp's converter writes it of a folder with a vocabulary.
void describe_tokenizer(GgufWriter& writer, const std::filesystem::path& folder, const std::string& split) {
  const auto tokenizer = text::load_language_tokenizer(folder);
  const auto set = [&](const std::string& key, weights::GgufMetadata value) {
    writer.set("tokenizer." + key, std::move(value));
  };
  std::vector<std::string> tokens;
  std::vector<std::int32_t> kinds;
  if (split.empty()) {
    const auto file =
        text::read_sentencepiece_model(folder / "tokenizer.model", text::SentencePieceModel::bpe);
    std::vector<float> scores;
    for (const auto& piece : file.pieces) {
      tokens.push_back(piece.text);
      scores.push_back(piece.score);
      kinds.push_back(static_cast<std::int32_t>(piece.kind) + 1);
    }
    set("ggml.model", std::string("llama"));
    set("ggml.scores", scores);
    set("ggml.add_space_prefix", file.normalizer.add_prefix);
    set("ggml.add_bos_token", true);
    set("ggml.add_eos_token", false);
  } else {
    for (std::int32_t id = 0; id < tokenizer->vocabulary_size(); ++id) {
      tokens.push_back(tokenizer->token_of(id).value());
      kinds.push_back(1);
    }
    const auto files = json::parse(test::read_file(folder / "tokenizer.json"));
    for (const auto& token : files["added_tokens"])
      kinds[token["id"].get<std::size_t>()] = token["special"].get<bool>() ? 3 : 4;
    std::vector<std::string> merges;
    for (const auto& merge : files["model"]["merges"])
      merges.push_back(merge.is_string() ? merge.get<std::string>()
                                         : merge[0].get<std::string>() + ' ' + merge[1].get<std::string>());
    set("ggml.model", std::string("gpt2"));
    set("ggml.pre", split);
    set("ggml.merges", merges);
  }
  set("ggml.tokens", tokens);
  set("ggml.token_type", kinds);
  const auto& special = tokenizer->special_tokens();
  const auto token = [&](const std::string& key, std::optional<std::int32_t> id) {
    if (id) set("ggml." + key + "_token_id", static_cast<std::uint32_t>(*id));
  };
  token("bos", special.bos);
  token("eos", special.eos);
  token("padding", special.pad);
  token("unknown", special.unknown);
  if (const auto chat = tokenizer->chat_template()) set("chat_template", *chat);
}

}  // namespace

TEST_CASE("a GGUF file writes what the folder it was made from writes", "[pipeline][language]") {
  struct Case {
    std::string tokenizer, split;
    json config;
    TypeOf types;
  };
  const auto cases = {
      Case{"bpe_smollm2", "smollm", {{"tie_word_embeddings", true}, {"num_hidden_layers", 3}}, all_q8_0},
      Case{"bpe_qwen3", "qwen2", {{"model_type", "qwen3"}, {"head_dim", 32}}, mixture},
      Case{"spbpe_llama2", "", {{"rope_theta", 1000.0}}, all_f32},
      Case{"spbpe_gemma", "", small_gemma3(), all_q8_0},
  };
  for (const auto& each : cases) {
    const auto vocabulary = test::golden("text/" + each.tokenizer);
    const auto tokenizer = text::load_language_tokenizer(vocabulary);
    const auto original =
        random_model(updated(each.config, {{"vocab_size", tokenizer->vocabulary_size()},
                                           {"eos_token_id", tokenizer->special_tokens().eos.value()}}));
    const auto model = Conversion(original, each.types).rounded_model();
    const test::TempFolder folder;
    // A GGUF file of pieces is read as sentencepiece would, who reads a tokenizer.model.
    for (const auto* name :
         {each.split.empty() ? "tokenizer.model" : "tokenizer.json", "tokenizer_config.json"})
      std::filesystem::copy_file(vocabulary / name, folder / name);
    folder.write("config.json", model.config.dump());
    model.file().save(folder / "model.safetensors");
    auto writer = Conversion(model, each.types).file();
    describe_tokenizer(writer, vocabulary, each.split);
    writer.save(folder / "model.gguf");

    const LanguageModelOptions options{.engine = "native", .precision = Precision::float32};
    const auto source = LanguageModel::load(folder.path(), options);
    for (const auto& engine : ops::engine_names())
      for (const auto kept : {WeightStorage::automatic, WeightStorage::packed}) {
        INFO(each.tokenizer << ", " << engine);
        const auto file = LanguageModel::load(
            folder / "model.gguf", {.engine = engine, .precision = Precision::float32, .weights = kept});
        CHECK(file.max_length() == source.max_length());
        CHECK(file.end_tokens() == source.end_tokens());
        for (const std::string prompt : {"The lighthouse keeper's 12 cats", " two  spaces\n\u00e9t\u00e9"}) {
          CHECK(file.tokenizer().encode(prompt) == source.tokenizer().encode(prompt));
          const GenerateRequest request{
              .prompt = prompt, .max_new_tokens = 12, .end_tokens = std::vector<std::int32_t>()};
          const auto written = file.generate(request), expected = source.generate(request);
          CHECK(written.ids == expected.ids);
          CHECK(written.text == expected.text);
        }
        REQUIRE(file.has_chat_template() == source.has_chat_template());
        if (source.has_chat_template())
          CHECK(file.chat_text({{"user", "hello"}}) == source.chat_text({{"user", "hello"}}));
      }
  }
}

TEST_CASE("metadata of language models are read as they are written or refused", "[pipeline][language]") {
  const auto model = random_model(small_gemma3());
  const auto config = [&](const std::function<void(GgufWriter&)>& change) {
    auto writer = Conversion(model, all_f32).file();
    change(writer);
    return gguf_language_config(GgufFile::from_memory(kept(writer.to_bytes()), "m.gguf"));
  };
  const auto usual = config([](GgufWriter&) {});
  CHECK(usual.windows == std::vector<Index>{5, 5, 5, 5, 5, 0, 5});
  CHECK(usual.window_rotary.value().theta == 10000.0);
  CHECK(usual.logit_soft_cap == 0.0f);
  const auto said = config([](GgufWriter& writer) {
    writer.set("gemma3.attention.sliding_window_pattern", std::uint32_t{3});
    writer.set("gemma3.rope.freq_base_swa", 500.0f);
    writer.set("gemma3.final_logit_softcapping", 20.0f);
    writer.set("gemma3.attention.scale", 0.5f);
    writer.set("gemma3.rope.scaling.factor", 0.0f);
  });
  CHECK(said.windows == std::vector<Index>{5, 5, 0, 5, 5, 0, 5});
  CHECK(said.window_rotary.value().theta == 500.0);
  CHECK(said.logit_soft_cap == 20.0f);
  CHECK(said.attention_scale == 0.5f);
  CHECK(said.rotary.scaling == models::RotaryConfig::Scaling::none);
  const auto pattern = [&](std::vector<bool> layers) {
    return config([&](GgufWriter& writer) {
      writer.set("gemma3.attention.sliding_window_pattern", std::move(layers));
    });
  };
  CHECK(pattern({false, true, true, false, true, true, false}).windows ==
        std::vector<Index>{0, 5, 5, 0, 5, 5, 0});
  test::expect_error<FormatError>([&] { pattern({true}); }, {"m.gguf", "sliding_window_pattern", "[true]"});
  const auto refused = [&](const std::string& key, weights::GgufMetadata value,
                           std::initializer_list<std::string_view> parts) {
    test::expect_error<ConfigError>([&] { config([&](GgufWriter& writer) { writer.set(key, value); }); },
                                    parts);
  };
  refused("gemma3.rope.scaling.type", std::string("longrope"), {"m.gguf", "longrope", "yarn"});
  refused("gemma3.rope.dimension_count", std::uint32_t{16}, {"16 of 32 channels"});
}
