window.ui = SwaggerUIBundle({
  url: '/docs/openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  // The page works without the internet: no online validator.
  validatorUrl: null,
})
