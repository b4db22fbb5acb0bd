#include "jit_internal.h"
#include <stdlib.h>
#include <string.h>
struct kgen_code *kgen_jit_compile(enum kgen_engine engine, const char *source, const char *vector_c, enum kgen_isa isa, const struct kgen_cc_options *options, struct kgen_error *error){(void)options;(void)engine; struct kgen_code*c=calloc(1,sizeof*c); if(kgen_jit_tcc(c,source,vector_c,isa,error)){free(c);return NULL;} return c;}
void *kgen_code_symbol(const struct kgen_code *code, const char *name){return kgen_jit_tcc_symbol(code,name);}
void kgen_code_free(struct kgen_code *code){if(code){kgen_jit_tcc_free(code);free(code);}}
const char *kgen_engine_name(enum kgen_engine engine){return engine?"cc":"tcc";}
int kgen_engine_parse(const char *name, enum kgen_engine *engine){*engine=strcmp(name,"cc")==0;return 0;}
int kgen_engine_describe(enum kgen_engine engine, const struct kgen_cc_options *options, struct kgen_text *out, struct kgen_error *error){(void)engine;(void)options;(void)error;kgen_text_puts(out,"tcc");return 0;}
