#include <utility>

#include <nlohmann/json.hpp>

#include "support/files.hpp"
#include "support/hostile.hpp"

namespace daguerre::test {
namespace {

using Json = nlohmann::json;

/// One file of a model, to be changed key by key.
class Changes {
 public:
  Changes(std::vector<HostileFile>& files, const std::filesystem::path& model, std::string path)
      : files_(files), path_(std::move(path)), valid_(Json::parse(read_file(model / path_))) {}

  void set(const std::string& key, const std::string& value) {
    Json changed = valid_;
    changed[key] = "@";
    std::string text = changed.dump();
    text.replace(text.find("\"@\""), 3, value);  // not every value here is one that a JSON library keeps
    add(key + " = " + value.substr(0, 40), text);
  }
  void set_each(std::initializer_list<const char*> keys, std::initializer_list<const char*> values) {
    for (const auto* key : keys)
      for (const auto* value : values) set(key, value);
  }
  void remove(const std::string& key) {
    Json changed = valid_;
    changed.erase(key);
    add("without " + key, changed.dump());
  }
  void add(const std::string& what, std::string content) {
    files_.push_back({path_ + ": " + what, path_, std::move(content)});
  }
  const std::string& path() const { return path_; }

 private:
  std::vector<HostileFile>& files_;
  std::string path_;
  Json valid_;
};

void add_all(Changes& changes, const std::vector<HostileFile>& files) {
  for (const auto& file : files) changes.add(file.name, file.content);
}

}  // namespace

std::vector<HostileFile> hostile_json(const std::string& path) {
  std::vector<HostileFile> files;
  const auto add = [&](std::string name, std::string content) {
    files.push_back({std::move(name), path, std::move(content)});
  };
  add("nothing", "");
  add("a blank", " ");
  for (const auto* text : {"{",
                           "}",
                           "[",
                           "[]",
                           "null",
                           "true",
                           "1",
                           "\"a\"",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{\"a\":1,}",
                           "{a:1}",
                           "{'a':1}",
                           "{}{}",
                           "{} x",
                           "{\"a\":1}/**/",
                           "{\"a\":01}",
                           "{\"a\":+1}",
                           "{\"a\":1e999}",
                           "{\"a\":tru}",
                           "{\"a\":\"b}",
                           "{\"a\":\"\n\"}",
                           "{\"a\":\"\\x\"}",
                           "{\"a\":\"\\ud800\"}",
                           "{\"a\":1,\"a\":2}",
                           "{NaN:1}"})
    add(text, text);
  add("invalid UTF-8 in a key", "{\"\xFF\":1}");
  add("overlong UTF-8", "{\"a\":\"\xC0\xAF\"}");
  add("a surrogate in UTF-8", "{\"a\":\"\xED\xA0\x80\"}");
  add("a NUL byte", std::string("{\"a\":1}\0{}", 10));
  add("objects 65 deep", repeated("{\"a\":", 65) + "1" + repeated("}", 65));
  add("objects a million deep", repeated("{\"a\":", 1'000'000));
  add("lists a million deep", "{\"a\":" + repeated("[", 1'000'000));
  add("random bytes", "\x89\x12\xF0\x7F\x01\x02{}");
  return files;
}

std::vector<HostileFile> hostile_configs(const std::filesystem::path& model) {
  std::vector<HostileFile> files;
  const std::initializer_list<const char*> bad_integers = {
      "\"8\"", "-1",         "0.5", "1e308",    "9223372036854775808", "{}", "[[]]",
      "true",  "2147483648", "NaN", "-Infinity"};
  {
    Changes unet(files, model, "unet/config.json");
    add_all(unet, hostile_json(unet.path()));
    unet.set_each(
        {"in_channels", "out_channels", "norm_num_groups", "layers_per_block", "cross_attention_dim",
         "attention_head_dim", "sample_size", "downsample_padding", "transformer_layers_per_block"},
        bad_integers);
    unet.set_each(
        {"in_channels", "out_channels", "norm_num_groups", "cross_attention_dim", "attention_head_dim",
         "layers_per_block", "transformer_layers_per_block", "time_embedding_dim"},
        {"0", "2147483647"});
    unet.set_each({"block_out_channels"},
                  {"[]", "[8]", "[8,12,16]", "[-8,12]", "[0,0]", "[8,\"12\"]", "8", "null", "[8,[12]]",
                   "[2147483644,2147483644]", "[536870912,12]", "{}"});
    unet.set_each({"down_block_types", "up_block_types"},
                  {"[]", "[1,2]", "\"UpBlock2D\"", "[\"UpBlock2D\"]", "[\"a\",\"b\"]", "null"});
    unet.set_each({"act_fn", "mid_block_type", "resnet_time_scale_shift", "attention_type"},
                  {"\"no such thing\"", "5", "[]"});
    unet.set_each({"norm_eps", "mid_block_scale_factor", "freq_shift"}, {"\"1\"", "[]", "true"});
    unet.set_each({"layers_per_block", "attention_head_dim", "cross_attention_dim"},
                  {"[]", "[1]", "[1,1,1]", "[1,\"1\"]"});
    unet.set("_class_name", "7");
    unet.set("an_unknown_option", "1");
    for (const auto* key : {"block_out_channels", "down_block_types", "cross_attention_dim"})
      unet.remove(key);
    unet.add("a list of a million items", "{\"a\":[" + repeated("0,", 1'000'000) + "0]}");
    unet.add("a list of many lists", "{\"a\":[" + repeated("[],", 690'000) + "0]}");
    unet.add("a list of many objects", "{\"a\":[" + repeated("{},", 690'000) + "0]}");
    const std::string flood = "\"" + repeated("x", 1 << 20) + "\"";
    unet.set("_class_name", flood);
    unet.set("act_fn", flood);
    unet.set("mid_block_type", flood);
    unet.set("an_unknown_option", flood);
    unet.set("in_channels", flood);
    unet.set("down_block_types", "[" + flood + ",\"DownBlock2D\"]");
    unet.add("a text of 40 MB", "{\"a\":\"" + repeated("x", 40'000'000) + "\"}");
  }
  {
    Changes vae(files, model, "vae/config.json");
    add_all(vae, hostile_json(vae.path()));
    vae.set_each({"in_channels", "out_channels", "latent_channels", "norm_num_groups", "layers_per_block",
                  "sample_size"},
                 bad_integers);
    vae.set_each({"latent_channels", "norm_num_groups", "layers_per_block", "in_channels"},
                 {"0", "2147483647"});
    vae.set_each({"block_out_channels"},
                 {"[]", "[4]", "[4,8,8]", "[-4,8]", "[0,0]", "[2147483647,2147483647]"});
    vae.set_each({"scaling_factor"}, {"0", "\"a\"", "[]", "NaN", "Infinity", "1e-320"});
    vae.set("latents_mean", "[1,2]");
    vae.set("latents_std", "[1,1,1,0]");
    vae.set("act_fn", "\"none\"");
  }
  {
    Changes text(files, model, "text_encoder/config.json");
    add_all(text, hostile_json(text.path()));
    text.set_each({"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                   "num_attention_heads", "max_position_embeddings"},
                  bad_integers);
    text.set_each({"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                   "num_attention_heads", "max_position_embeddings"},
                  {"0", "2147483647"});
    text.set("hidden_act", "\"none\"");
    text.set("architectures", "\"CLIPTextModel\"");
    text.set("architectures", "[1]");
    text.remove("hidden_size");
  }
  {
    Changes scheduler(files, model, "scheduler/scheduler_config.json");
    add_all(scheduler, hostile_json(scheduler.path()));
    scheduler.set_each({"num_train_timesteps"}, bad_integers);
    scheduler.set_each({"num_train_timesteps"}, {"0", "2147483647", "100000000"});
    scheduler.set_each({"beta_start", "beta_end"}, {"\"a\"", "[]", "{}", "NaN", "Infinity", "-1", "2"});
    scheduler.set_each({"trained_betas"}, {"\"a\"", "[\"a\"]", "[0.1]", "[[0.1]]", "{}", "1"});
    scheduler.set_each({"beta_schedule", "prediction_type", "timestep_spacing"}, {"\"none\"", "5", "[]"});
    scheduler.set_each({"_class_name", "beta_schedule", "prediction_type", "timestep_spacing"},
                       {("\"" + repeated("x", 1 << 20) + "\"").c_str()});
    scheduler.set_each({"_class_name"}, {"7", "[]", "{}"});
    scheduler.set("an_unknown_option", "1");
  }
  {
    Changes index(files, model, "model_index.json");
    add_all(index, hostile_json(index.path()));
    index.set_each({"_class_name"}, {"\"\"", "5", "[]", "{}", "\"StableDiffusion3Pipeline\"", "true"});
    index.set("_class_name", "\"" + repeated("S", 1 << 20) + "\"");
    index.remove("_class_name");
    // The classes of parts are the index's.
    for (const auto* part : {"unet", "vae", "text_encoder", "tokenizer", "scheduler"}) {
      index.set_each({part},
                     {"null", "true", "7", "\"UNet2DConditionModel\"", "[]", "{}", "[null,null]",
                      "[\"diffusers\"]", "[\"diffusers\",7]", "[[\"diffusers\"],[\"x\"]]",
                      "[\"diffusers\",\"NoSuchClass\"]", "[\"\",\"\"]", "[\"os\",\"system\"]",
                      "[\"diffusers\",\"UNet3DConditionModel\"]", "[\"transformers\",\"T5EncoderModel\"]"});
      index.set(part, "[\"diffusers\",\"" + repeated("C", 1 << 20) + "\"]");
      index.remove(part);
    }
  }
  return files;
}

std::vector<HostileFile> hostile_indexes() {
  const std::string path = "text_encoder/model.safetensors.index.json";
  std::vector<HostileFile> files = hostile_json(path);
  const auto add = [&](std::string content) { files.push_back({content.substr(0, 60), path, content}); };
  for (const auto* map : {"1", "null", "[]", "{}", "\"a\"", "{\"x\":1}", "{\"x\":null}", "{\"x\":[\"a\"]}",
                          "{\"x\":{\"y\":\"z\"}}"})
    add(std::string("{\"weight_map\":") + map + "}");
  for (const auto* shard :
       {"", ".", "..", "../unet/diffusion_pytorch_model.safetensors", "/etc/passwd", "a/b.safetensors",
        "..\\\\x.safetensors", "C:x.safetensors", "x\\u0000y", "absent.safetensors", "config.json", "folder",
        "model.safetensors.index.json", "loop.safetensors", "~/x.safetensors", "http://host/x.safetensors"})
    add(std::string("{\"weight_map\":{\"x\":\"") + shard + "\"}}");
  add("{\"weight_map\":{\"x\":\"" + repeated("n", 5000) + "\"}}");
  add("{\"weight_map\":{\"x\":\"a.safetensors\",\"x\":\"b.safetensors\"}}");
  std::string many = "{\"weight_map\":{";
  for (int i = 0; i < 20'000; ++i)
    many += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":\"s" + std::to_string(i) + "\"";
  add(many + "}}");
  return files;
}

std::vector<HostileFile> hostile_tokenizers(const std::filesystem::path& model) {
  std::vector<HostileFile> files;
  const std::string vocab_path = "tokenizer/vocab.json", merges_path = "tokenizer/merges.txt";
  {
    Changes vocabulary(files, model, vocab_path);
    add_all(vocabulary, hostile_json(vocab_path));
    vocabulary.set_each({"a"}, {"-1", "0.5", "null", "\"1\"", "[1]", "{}", "true", "4294967296", "1e9",
                                "18446744073709551615", "2147483648", "2147483647", "5"});
    vocabulary.remove("a");
    vocabulary.remove("<|endoftext|>");
    vocabulary.remove("<|startoftext|>");
    vocabulary.add("no tokens", "{}");
    vocabulary.add("one token", "{\"a\":0}");
    std::string many = "{", far = "{";
    for (int i = 0; i < 2'000'000; ++i) many += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":0";
    for (int i = 0; i < 100'000; ++i)
      far += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":" + std::to_string(2 * i);
    vocabulary.add("two million tokens of one id", many + "}");
    vocabulary.add("ids with gaps", far + "}");
    vocabulary.add("a token of 20 MB", "{\"" + repeated("t", 20'000'000) + "\":0}");
  }
  const std::string merges = read_file(model / merges_path);
  const auto add_merges = [&](std::string name, std::string content) {
    files.push_back({"merges: " + std::move(name), merges_path, std::move(content)});
  };
  for (const auto* line : {"a", "a  b", "a b c", " a", "a ", "nosuch token", "a\tb", "z\xFF z", "\r a b"})
    add_merges(line, merges + line + "\n");
  add_merges("an empty line within", "\n" + merges);
  add_merges("two versions", "#version: 0.2\n" + merges);
  add_merges("NUL bytes", merges + std::string(3, '\0'));
  add_merges("one line of 8 MB", repeated("a", 8'000'000));
  add_merges("70 MB", repeated("a b\n", 17'500'000));
  {
    Changes config(files, model, "tokenizer/tokenizer_config.json");
    add_all(config, hostile_json(config.path()));
    config.set_each({"model_max_length"},
                    {"1", "0", "-1", "\"77\"", "2.5", "[]", "{}", "true", "78", "999999"});
    config.set_each({"tokenizer_class"}, {"\"T5Tokenizer\"", "\"\""});
    config.set_each(
        {"added_tokens_decoder"},
        {"1", "[]", "{\"a\":{\"content\":\"x\"}}", "{\"5\":1}", "{\"5\":{}}", "{\"5\":{\"content\":7}}",
         "{\"5\":{\"content\":\"\"}}", "{\"5\":{\"content\":\"new\"}}", "{\"99999\":{\"content\":\"new\"}}",
         "{\"99999999999\":{\"content\":\"new\"}}", "{\"-1\":{\"content\":\"new\"}}"});
  }
  {
    Changes map(files, model, "tokenizer/special_tokens_map.json");
    add_all(map, hostile_json(map.path()));
    map.set_each({"bos_token", "eos_token", "pad_token", "unk_token"},
                 {"1", "[]", "{}", "\"\"", "\"no such token\"", "{\"content\":1}", "true"});
  }
  return files;
}

std::vector<HostileFile> hostile_tokenizer_json(const std::filesystem::path& model) {
  const std::string path = "tokenizer/tokenizer.json";
  std::vector<HostileFile> files = hostile_json(path);
  const auto add = [&](std::string name, std::string content) {
    files.push_back({path + ": " + std::move(name), path, std::move(content)});
  };
  const std::string vocabulary = read_file(model / "tokenizer/vocab.json");
  const auto with = [&](std::string_view vocab, std::string_view merges, std::string_view rest = "") {
    return std::string(R"({"model":{"type":"BPE","vocab":)")
               .append(vocab)
               .append(R"(,"merges":)")
               .append(merges) +
           "}" + std::string(rest) + "}";
  };
  for (const auto* vocab : {"null", "1", "[]", "{}", "\"a\"", "[[\"a\",0]]", "{\"a\":-1}", "{\"a\":0.5}",
                            "{\"a\":\"0\"}", "{\"a\":null}", "{\"a\":[0]}", "{\"a\":{\"b\":0}}",
                            "{\"a\":0,\"a\":1}", "{\"a\":4294967296}", "{\"a\":18446744073709551616}"})
    add(std::string("vocab ") + vocab, with(vocab, "[]"));
  for (const auto* merges :
       {"{}", "[1]", "[null]", "[{}]", "[[]]", "[\"a\"]", "[\"a b c\"]", "[\" b\"]", "[\"a \"]", "[[\"a\"]]",
        "[[\"a\",\"b\",\"c\"]]", "[[\"a\",1]]", "[[[\"a\"],[\"b\"]]]", "[\"nosuch token\"]",
        "[[\"nosuch\",\"token\"]]", "[[\"\",\"a\"]]"})
    add(std::string("merges ") + merges, with(vocabulary, merges));
  for (const auto* added : {"[1]", "[null]", "[[]]", "[{}]", "[{\"id\":634}]", "[{\"content\":\"x\"}]",
                            "[{\"id\":-1,\"content\":\"x\"}]", "[{\"id\":634,\"content\":\"\"}]",
                            "[{\"id\":634.5,\"content\":\"x\"}]", "[{\"id\":5,\"content\":\"x\"}]",
                            "[{\"id\":99999,\"content\":\"x\"}]", "[{\"id\":634,\"content\":7}]",
                            "[{\"id\":634,\"content\":\"x\",\"single_word\":true}]"})
    add(std::string("added tokens ") + added,
        with(vocabulary, "[]", std::string(",\"added_tokens\":") + added));
  for (const auto* type : {"\"Unigram\"", "\"WordPiece\"", "\"WordLevel\""})
    add(std::string("type ") + type,
        std::string(R"({"model":{"type":)") + type + R"(,"vocab":)" + vocabulary + R"(,"merges":[]}})");
  add("no model", "{\"vocab\":" + vocabulary + "}");
  add("a model that is a list", "{\"model\":[" + vocabulary + "]}");
  add("no vocabulary", R"({"model":{"type":"BPE","merges":[]}})");
  add("many merges", with(vocabulary, "[" + repeated("\"a b\",", 1'200'000) + "\"a b\"]"));
  add("many added tokens",
      with(vocabulary, "[]", ",\"added_tokens\":[" + repeated("{},", 2'000'000) + "{}]"));
  add("70 MB", with(vocabulary, "[]", ",\"x\":\"" + repeated("x", 70'000'000) + "\""));
  return files;
}

}  // namespace daguerre::test
